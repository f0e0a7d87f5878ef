#pragma once
// Hook between two inner steps: reports progress to rank 0 and obeys signals.
#include <cstdint>
#include <functional>
#include <optional>

#include "common/base/error.h"
#include "common/net/transport.h"
#include "common/rule/engine.h"

namespace outerloop::worker {

/// A signal requested the end, and the current computation would take too long; it is discarded.
class Interrupted : public Error {
 public:
  Interrupted() : Error("a signal has interrupted the computation") {}
};

/// The function for Engine::set_after_step. The engine has no clock of its own.
class Pulse {
 public:
  struct Hooks {
    std::function<void(std::int64_t step)> tell;  ///< reports progress
    std::function<bool()> stop_requested;         ///< by a signal; empty: signals interrupt nothing
  };
  /// Seconds between two calls of `tell`; run_worker() uses less where the deadline is short.
  static constexpr double kTellSeconds = 1.0;

  Pulse(const net::Clock& clock, Hooks hooks, double tell_seconds = kTellSeconds)
      : clock_(clock), hooks_(std::move(hooks)), tell_seconds_(tell_seconds) {}

  /// Begins a piece of work: a truncation, or the evaluation of a task.
  void begin();
  /// An inner step is done. Throws Interrupted some seconds after a signal; most pieces of work end sooner
  /// and are worth completing.
  void step();

 private:
  const net::Clock& clock_;
  Hooks hooks_;
  double tell_seconds_;
  std::int64_t steps_ = 0;
  double told_ = 0.0;
  std::optional<double> signal_;  ///< time when it was first noticed
};

/// Connects the engine's inner steps to the pulse, for this object's lifetime. References must outlive it.
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
