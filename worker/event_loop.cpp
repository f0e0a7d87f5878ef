#include "worker/event_loop.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "common/base/error.h"

namespace outerloop::worker {
namespace {

constexpr int kCoordinator = 0;
constexpr double kFlushSeconds = 10.0;
constexpr double kLookSeconds = 0.5;  // between two looks at whether the coordinator's process is there

using Asked = std::function<bool()>;

/// Nothing where the coordinator has ended, or does not answer within the deadline.
std::optional<net::Received> next_answer(net::Transport& transport, double deadline, const Asked& ended) {
  for (double waited = 0.0; waited < deadline; waited += kLookSeconds) {
    const bool last = ended();  // looked at first: what it sent before its end can still be received
    if (auto received = transport.receive(std::min(kLookSeconds, deadline - waited))) return received;
    if (last) break;
  }
  return std::nullopt;
}

void converse(net::Transport& transport, const net::Clock& clock, Worker& worker, const Asked& stop_requested,
              const Asked& ended) {
  transport.send(kCoordinator, worker.hello());
  for (;;) {
    const auto received = next_answer(transport, worker.options().deadline, ended);
    if (!received && ended()) throw Error("the coordinator's process has ended");
    if (!received)
      throw Error("the coordinator has not answered for " + std::to_string(worker.options().deadline) +
                  " s; its host or the network to it is gone");
    if (stop_requested()) worker.signal();
    const auto next = worker.handle(received->bytes, clock);
    if (!next) return;
    std::this_thread::sleep_for(std::chrono::duration<double>(worker.pause()));
    transport.send(kCoordinator, *next);
  }
}

}  // namespace

bool run_worker(net::Transport& transport, Worker& worker, const std::function<bool()>& stop_requested,
                const std::function<bool()>& coordinator_ended) {
  const net::SteadyClock clock;
  try {
    converse(transport, clock, worker, stop_requested, coordinator_ended);
  } catch (const std::exception& error) {
    if (coordinator_ended()) throw;
    transport.send(kCoordinator, worker.failure(error.what()));
    transport.flush(kFlushSeconds);
    throw;
  }
  transport.flush(kFlushSeconds);
  return worker.may_finalize();
}

}  // namespace outerloop::worker
