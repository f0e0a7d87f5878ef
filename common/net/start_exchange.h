#pragma once
// Texts between rank 0 and the others while a run starts. Every message has one sender and one receiver, so a
// dead rank blocks only rank 0, whose `wait_until` can end the wait with an exception.
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

namespace outerloop::net {

class StartExchange {
 public:
  /// `wait_until`: returns once the condition holds; what it throws ends the call that waits.
  using WaitUntil = std::function<void(const std::function<bool()>&)>;
  StartExchange(int rank, int size);
  ~StartExchange();

  /// All ranks must call it. Each gets the texts of all ranks, by rank, through rank 0. Throws Error if MPI
  /// fails.
  std::vector<std::string> gather_all(const std::string& text, const WaitUntil& wait_until);

  /// All ranks must call it. Each gets rank 0's text. Throws Error if MPI fails.
  std::string broadcast(const std::string& text, const WaitUntil& wait_until);

 private:
  struct Message;
  void send(int to, std::string text);
  std::string receive(int from, const WaitUntil& wait_until);
  bool all_sent();

  int rank_ = 0;
  int size_ = 1;
  std::list<std::unique_ptr<Message>> under_way_;  ///< MPI owns their bytes
};

}  // namespace outerloop::net
