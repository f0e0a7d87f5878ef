#pragma once
// The fused engine: the update rules as CPU kernels for one instruction set, without LibTorch.
// docs/fused-engine.md describes the files of this folder.
#include <memory>

#include "common/rule/engine.h"
#include "common/rule/fused/profile.h"

namespace outerloop::rule::fused {

/// An engine that also reports its memory and where its time goes.
class FusedEngine : public Engine {
 public:
  /// Bytes of the arena: kept activations, φ of every step and work space of the largest call so far.
  virtual std::int64_t arena_bytes() const = 0;
  /// From now on the engine reports each part that it starts to `profiler` (may be null). Not owned.
  virtual void set_profiler(Profiler* profiler) = 0;
};

/// Throws InputError for options that this engine does not support.
std::unique_ptr<FusedEngine> make_fused_engine(const RuleOptions& rule, const EngineOptions& options);

}  // namespace outerloop::rule::fused
