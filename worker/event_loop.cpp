#include "worker/event_loop.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "worker/pulse.h"

namespace outerloop::worker {
namespace {

constexpr int kCoordinator = 0;
constexpr double kFlushSeconds = 10.0;
constexpr double kTellsInDeadline = 4.0;
constexpr double kLookSeconds = 0.5;  // between two checks that the coordinator's process exists

/// The next frame. Throws CoordinatorGone if none arrives within the deadline, or the coordinator has ended.
net::Received next_answer(net::Transport& transport, double deadline, const LoopHooks& hooks) {
  for (double waited = 0.0; waited < deadline; waited += kLookSeconds) {
    // Checked before receiving: frames sent before the coordinator's end are still delivered.
    const std::string gone = hooks.coordinator_gone();
    if (auto received = transport.receive(std::min(kLookSeconds, deadline - waited)))
      return *std::move(received);
    if (!gone.empty()) throw CoordinatorGone(gone);
  }
  throw CoordinatorGone("the coordinator has not answered for " + std::to_string(deadline) +
                        " s; its host or the network to it is gone");
}

/// Reports progress to rank 0 during computation, and stops the computation if the coordinator is gone.
Pulse::Hooks pulse_hooks(net::Transport& transport, const Worker& worker, const LoopHooks& hooks) {
  const auto tell = [&](std::int64_t step) {
    if (const std::string gone = hooks.coordinator_gone(); !gone.empty()) throw CoordinatorGone(gone);
    transport.send(kCoordinator, worker.progress(step));
  };
  // A worker that leaves alone finishes its gradient: the other workers wait for it.
  return {tell, worker.options().leaves ? std::function<bool()>() : hooks.stop_requested};
}

void converse(net::Transport& transport, const net::Clock& clock, Worker& worker, const LoopHooks& hooks) {
  const double tell_seconds = std::min(Pulse::kTellSeconds, worker.options().deadline / kTellsInDeadline);
  Pulse pulse(clock, pulse_hooks(transport, worker, hooks), tell_seconds);
  const Beating beating(worker.engine(), pulse);
  transport.send(kCoordinator, worker.hello());
  for (;;) {
    const auto received = next_answer(transport, worker.options().deadline, hooks);
    if (hooks.stop_requested()) worker.signal();
    pulse.begin();
    const auto next = worker.handle(received.bytes, clock);
    if (!next) return;
    std::this_thread::sleep_for(std::chrono::duration<double>(worker.pause()));
    for (const auto& frame : worker.take_ahead()) transport.send(kCoordinator, frame);
    transport.send(kCoordinator, *next);
  }
}

}  // namespace

bool run_worker(net::Transport& transport, Worker& worker, const LoopHooks& hooks) {
  const net::SteadyClock clock;
  try {
    converse(transport, clock, worker, hooks);
  } catch (const CoordinatorGone&) {
    throw;
  } catch (const std::exception& error) {
    if (!hooks.coordinator_gone().empty()) throw;
    transport.send(kCoordinator, worker.failure(error.what()));
    transport.flush(kFlushSeconds);
    throw;
  }
  transport.flush(kFlushSeconds);
  return worker.may_finalize();
}

}  // namespace outerloop::worker
