#pragma once
// The worker's event loop: a worker and its transport to the coordinator, until it is released.
#include <functional>

#include "common/net/transport.h"
#include "worker/worker.h"

namespace outerloop::worker {

/// Talks to rank 0 until released. A failure is sent to rank 0 before it is rethrown. `stop_requested` is
/// looked at between truncations, `coordinator_ended` twice a second while an answer is waited for: true
/// where its process is known to have ended. Throws Error then, and where the coordinator does not answer
/// within the deadline. Returns whether MPI can be finalised.
bool run_worker(net::Transport& transport, Worker& worker, const std::function<bool()>& stop_requested,
                const std::function<bool()>& coordinator_ended);

}  // namespace outerloop::worker
