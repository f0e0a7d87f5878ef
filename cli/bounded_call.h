#pragma once
// Limits MPI calls of rank 0 that wait for another process (spawn, accept), so that a hang cannot cost the
// run. A checkpoint is written before the call. A call that hangs ends the job, and scripts/mpirun restarts
// it.
#include <functional>
#include <string>

#include "common/net/watchdog.h"

namespace outerloop::cli {

/// Exit status of a job that ended itself because an MPI call hung.
inline constexpr int kMpiStatus = 75;

/// References must outlive it.
class BoundedCall {
 public:
  struct Hooks {
    std::function<bool()> checkpoint;  ///< returns whether a checkpoint to resume from is on the disk
    std::function<void()> end_job;     ///< called by another thread while the main thread hangs in MPI
  };
  BoundedCall(net::Watchdog& watchdog, Hooks hooks) : watchdog_(watchdog), hooks_(std::move(hooks)) {}

  /// Makes the call. `what`: its purpose, e.g. "to start a worker". Returns false without a call if the disk
  /// refuses checkpoints. Passes on exceptions of the call.
  bool operator()(const std::string& what, const std::function<void()>& call) const;

 private:
  net::Watchdog& watchdog_;
  Hooks hooks_;
};

}  // namespace outerloop::cli
