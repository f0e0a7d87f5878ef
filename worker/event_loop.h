#pragma once
// The worker's event loop: a worker and its transport to the coordinator, until it is released.
#include <functional>
#include <string>

#include "common/base/error.h"
#include "common/net/transport.h"
#include "worker/worker.h"

namespace outerloop::worker {

/// The coordinator is known to be no more, or has not answered within the deadline.
class CoordinatorGone : public Error {
 public:
  using Error::Error;
};

struct LoopHooks {
  std::function<bool()> stop_requested;  ///< a signal has come; looked at between inner steps too
  /// Why the coordinator's process, its host or the network to it is known to be gone; empty where it is not.
  /// Asked twice a second while an answer is waited for, once a second while the worker computes.
  std::function<std::string()> coordinator_gone;
};

/// Talks to rank 0 until released. A failure is sent to rank 0 before it is rethrown. Throws CoordinatorGone.
/// Returns whether MPI can be finalised.
bool run_worker(net::Transport& transport, Worker& worker, const LoopHooks& hooks);

}  // namespace outerloop::worker
