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
    coordinator.enter(Part::receive);
    auto received = transport.receive(kRoundSeconds);
    coordinator.enter(Part::rest);
    const double now = clock.now();
    if (received) {
      const auto answers = received->oversize > 0
                               ? coordinator.handle_oversize(received->from, received->oversize, now)
                               : coordinator.handle(received->from, received->bytes, now);
      coordinator.enter(Part::send);
      for (const auto& answer : answers) transport.send(answer.to, answer.frame);
      transport.recycle(std::move(received->bytes));
      coordinator.enter(Part::rest);
    }
    if (now < next_round) continue;
    next_round = now + kRoundSeconds;
    if (hooks.stop_requested()) coordinator.request_stop(StopReason::signal);
    coordinator.tick(now);
    hooks.each_round();
  }
}

bool release_workers(net::Transport& transport, const Coordinator& coordinator) {
  for (const auto& [number, member] : coordinator.membership().members())
    if (member.lost) transport.forget(number);
  for (const auto& answer : coordinator.release()) transport.send(answer.to, answer.frame);
  return transport.flush(kFlushSeconds) && coordinator.may_finalize();
}

}  // namespace outerloop::coordinator
