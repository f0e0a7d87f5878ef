#include "coordinator/event_loop.h"

namespace outerloop::coordinator {
namespace {

constexpr double kRoundSeconds = 0.2;
constexpr double kFlushSeconds = 10.0;

}  // namespace

void serve(net::Transport& transport, const net::Clock& clock, Coordinator& coordinator,
           const LoopHooks& hooks) {
  double next_round = clock.now();
  while (!coordinator.finished()) {
    const auto received = transport.receive(kRoundSeconds);
    const double now = clock.now();
    if (received)
      for (const auto& answer : coordinator.handle(received->from, received->bytes, now))
        transport.send(answer.to, answer.frame);
    if (now < next_round) continue;
    next_round = now + kRoundSeconds;
    if (hooks.stop_requested()) coordinator.request_stop(StopReason::signal);
    coordinator.tick(now);
    hooks.each_round();
  }
}

bool release_workers(net::Transport& transport, const Coordinator& coordinator) {
  for (const auto& answer : coordinator.release()) transport.send(answer.to, answer.frame);
  return transport.flush(kFlushSeconds) && coordinator.membership().lost() == 0;
}

}  // namespace outerloop::coordinator
