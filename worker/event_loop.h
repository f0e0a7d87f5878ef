#pragma once
// The worker's event loop: passes frames between a worker and the coordinator until the worker is released.
#include <functional>
#include <string>

#include "common/base/error.h"
#include "common/net/transport.h"
#include "worker/worker.h"

namespace outerloop::worker {

/// The coordinator has ended, or has not answered within the deadline.
class CoordinatorGone : public Error {
 public:
  using Error::Error;
};

struct LoopHooks {
  std::function<bool()> stop_requested;  ///< a signal has arrived; also checked between inner steps
  /// Why the coordinator's process, its host or the network to it is gone; empty if it is not. Called twice a
  /// second while waiting for an answer, and once a second while computing.
  std::function<std::string()> coordinator_gone;
};

/// Works for rank 0 until released. Sends a failure to rank 0 before rethrowing it. Throws CoordinatorGone.
/// Returns whether MPI can be finalised.
bool run_worker(net::Transport& transport, Worker& worker, const LoopHooks& hooks);

}  // namespace outerloop::worker
