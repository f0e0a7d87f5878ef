#pragma once
// MPI calls that wait for another process (spawn, accept), on rank 0: they may not cost the run. A checkpoint
// is in place before, and a call that does not come back ends the job, which scripts/mpirun starts again.
#include <functional>
#include <string>

#include "common/net/watchdog.h"

namespace outerloop::cli {

/// Exit status of a job that has ended itself because MPI did not come back.
inline constexpr int kMpiStatus = 75;

/// References outlive it.
class BoundedCall {
 public:
  struct Hooks {
    std::function<bool()> checkpoint;  ///< whether one is on the disk from which the run can go on
    std::function<void()> end_job;     ///< called by another thread while the main one stands in MPI
  };
  BoundedCall(net::Watchdog& watchdog, Hooks hooks) : watchdog_(watchdog), hooks_(std::move(hooks)) {}

  /// Makes the call. `what` it is, e.g. "to start a worker". Returns false where it was not made, as the disk
  /// refuses checkpoints. Passes on what the call throws.
  bool operator()(const std::string& what, const std::function<void()>& call) const;

 private:
  net::Watchdog& watchdog_;
  Hooks hooks_;
};

}  // namespace outerloop::cli
