#pragma once
// The coordinator's event loop: frames from a transport to the coordinator and back, with a deadline on every
// wait.
#include <functional>

#include "common/net/transport.h"
#include "coordinator/coordinator.h"

namespace outerloop::coordinator {

struct LoopHooks {
  std::function<bool()> stop_requested;  ///< a signal has asked for the end
  std::function<void()> each_round;      ///< called at least five times a second, e.g. for the progress line
};

/// Serves until the coordinator is finished: all workers have left or are lost.
void serve(net::Transport& transport, const net::Clock& clock, Coordinator& coordinator,
           const LoopHooks& hooks);

/// Lets the workers go that said farewell. Returns whether MPI can be finalised: nobody was lost, or has
/// joined.
bool release_workers(net::Transport& transport, const Coordinator& coordinator);

}  // namespace outerloop::coordinator
