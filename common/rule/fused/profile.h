#pragma once
// Profiler interface: the engine says which part it turns to; the caller holds the clock.

namespace outerloop::rule::fused {

enum class Part { convolutions, readouts, weight_change, base_model, meta_objective, rest };
inline constexpr int kParts = 6;

class Profiler {
 public:
  virtual ~Profiler() = default;
  /// Work on `part` begins, and that on the part before ends.
  virtual void enter(Part part) = 0;
};

}  // namespace outerloop::rule::fused
