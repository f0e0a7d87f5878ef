#pragma once
// Who works, on which streams, and who was lost.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/store/files.h"

namespace outerloop::coordinator {

/// What the coordinator knows of one worker.
struct Member {
  std::string host;
  std::int64_t pid = 0;
  double last_heard = 0.0;  ///< seconds on the coordinator's clock
  bool lost = false;
  bool farewell = false;                        ///< has left in good order
  std::int64_t theta_version = -1;              ///< newest θ it was sent
  std::int64_t gradients = 0;                   ///< accepted ones
  std::map<std::string, std::int64_t> refused;  ///< by cause
  std::vector<std::uint32_t> streams;           ///< that it works on
  std::vector<store::StreamState> to_assign;    ///< goes out with the next answer
};

class Membership {
 public:
  /// Deals `streams` out to `workers` in turn; each goes on from its state in `states`, or begins task 0.
  Membership(const std::vector<int>& workers, std::int64_t streams,
             const std::vector<store::StreamState>& states, double now);

  /// The member of that number; nullptr for a stranger.
  Member* find(int worker);
  const std::map<int, Member>& members() const { return members_; }
  std::map<int, Member>& members() { return members_; }

  /// Members neither lost nor gone.
  std::int64_t active() const;
  std::int64_t lost() const;

  /// Notes the task that a stream is in, so that another worker can begin the next one if this one is lost.
  void note_task(std::uint32_t stream, std::uint32_t task);

  /// Marks the worker as lost and deals its streams out to the others, each to begin its next task.
  void lose(int worker);

  /// Members not heard of for `deadline` seconds.
  std::vector<int> silent(double now, double deadline) const;

 private:
  std::map<int, Member> members_;
  std::map<std::uint32_t, std::uint32_t> task_of_;  ///< newest task of each stream
};

}  // namespace outerloop::coordinator
