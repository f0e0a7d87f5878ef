#pragma once
// Simulated workers of one rank, for outerloop bench coordinator: they send gradients and compute nothing.
#include <cstdint>
#include <deque>
#include <vector>

#include "common/net/transport.h"
#include "outerloop/messages.pb.h"

namespace outerloop::cli {

/// To the coordinator one worker with as many streams as it was assigned. Each stream stands for a worker:
/// it has one gradient under way, and sends the next when it is answered. So θ comes once per version.
class Senders {
 public:
  /// All gradients have the same random numbers, [floats], of norm 1.
  Senders(net::Transport& transport, std::int64_t floats);

  /// Talks to rank 0 until released. Throws Error where it is silent for a minute.
  void run();

  /// Bytes of one gradient's message.
  std::size_t message_bytes();

 private:
  void send_gradient(std::uint32_t stream);
  proto::CoordinatorMessage next_answer();

  net::Transport& transport_;
  net::Frame gradient_;  ///< the header is that of each message anew
  std::vector<float> theta_;
  std::int64_t theta_version_ = -1;
  std::deque<std::uint32_t> under_way_;  ///< answers come in the order of the messages
};

}  // namespace outerloop::cli
