#pragma once
// The fused engine: the rules on one instruction set of the CPU, without LibTorch. docs/fused-engine.md has
// the map of this folder.
#include <memory>

#include "common/rule/engine.h"
#include "common/rule/fused/profile.h"

namespace outerloop::rule::fused {

/// An engine that also says how much memory it holds and where its time goes.
class FusedEngine : public Engine {
 public:
  /// Bytes of the arena: kept activations, φ of every step and work space of the largest call so far.
  virtual std::int64_t arena_bytes() const = 0;
  /// From now on `profiler` (may be null) gets each part that the engine turns to. Not owned.
  virtual void set_profiler(Profiler* profiler) = 0;
};

/// Throws InputError for options that do not exist here.
std::unique_ptr<FusedEngine> make_fused_engine(const RuleOptions& rule, const EngineOptions& options);

}  // namespace outerloop::rule::fused
