#pragma once
// The coordinator's event loop: passes frames between a transport and the coordinator. Every wait has a
// deadline.
#include <functional>

#include "common/net/transport.h"
#include "coordinator/coordinator.h"

namespace outerloop::coordinator {

struct LoopHooks {
  std::function<bool()> stop_requested;  ///< a signal requested the end of the run
  std::function<void()> each_round;      ///< called at least five times a second, e.g. for the progress line
};

/// Runs until the coordinator is finished: all workers have left or are lost.
void serve(net::Transport& transport, const net::Clock& clock, Coordinator& coordinator,
           const LoopHooks& hooks);

/// Releases the workers that have said farewell. Returns whether MPI can be finalised: no worker was lost or
/// joined late.
bool release_workers(net::Transport& transport, const Coordinator& coordinator);

}  // namespace outerloop::coordinator
