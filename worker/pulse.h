#pragma once
// What happens between two inner steps: rank 0 is told how far this rank has come, and signals are obeyed.
#include <cstdint>
#include <functional>
#include <optional>

#include "common/base/error.h"
#include "common/net/transport.h"
#include "common/rule/engine.h"

namespace outerloop::worker {

/// A signal asks for the end, and what is being computed would take too long: it is dropped.
class Interrupted : public Error {
 public:
  Interrupted() : Error("a signal has interrupted the computing") {}
};

/// Engine::set_after_step's function: the engine knows no clock, this knows nothing else.
class Pulse {
 public:
  struct Hooks {
    std::function<void(std::int64_t step)> tell;  ///< how far it is
    std::function<bool()> stop_requested;         ///< by a signal; none: signals interrupt nothing
  };
  /// Seconds between two calls of `tell`, unless a deadline is shorter than a few of them.
  static constexpr double kTellSeconds = 1.0;

  Pulse(const net::Clock& clock, Hooks hooks, double tell_seconds = kTellSeconds)
      : clock_(clock), hooks_(std::move(hooks)), tell_seconds_(tell_seconds) {}

  /// A piece of work begins: a truncation, or the evaluation of a task.
  void begin();
  /// An inner step of it is done. Throws Interrupted where a signal has come a while ago: most pieces of work
  /// end within that time, and are worth waiting for.
  void step();

 private:
  const net::Clock& clock_;
  Hooks hooks_;
  double tell_seconds_;
  std::int64_t steps_ = 0;
  double told_ = 0.0;
  std::optional<double> signal_;  ///< when it was first seen
};

/// As long as this lives, the engine's inner steps are the pulse's. References outlive it.
class Beating {
 public:
  Beating(rule::Engine& engine, Pulse& pulse) : engine_(engine) {
    engine_.set_after_step([&pulse] { pulse.step(); });
  }
  ~Beating() { engine_.set_after_step({}); }
  Beating(const Beating&) = delete;
  Beating& operator=(const Beating&) = delete;

 private:
  rule::Engine& engine_;
};

}  // namespace outerloop::worker
