#include "worker/pulse.h"

namespace outerloop::worker {
namespace {

constexpr double kPatienceSeconds = 5.0;  // after a signal, for the current piece of work

}  // namespace

void Pulse::begin() {
  steps_ = 0;
  told_ = clock_.now();
}

void Pulse::step() {
  ++steps_;
  const double now = clock_.now();
  if (hooks_.stop_requested && hooks_.stop_requested()) {
    if (!signal_) signal_ = now;
    if (now - *signal_ > kPatienceSeconds) throw Interrupted();
  }
  if (now - told_ < tell_seconds_) return;
  told_ = now;
  hooks_.tell(steps_);
}

}  // namespace outerloop::worker
