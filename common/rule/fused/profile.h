#pragma once
// Profiler interface: the engine reports each part that it starts; the caller measures the time.

namespace outerloop::rule::fused {

enum class Part { convolutions, readouts, weight_change, base_model, meta_objective, rest };
inline constexpr int kParts = 6;

class Profiler {
 public:
  virtual ~Profiler() = default;
  /// Work on `part` begins; work on the previous part ends.
  virtual void enter(Part part) = 0;
};

}  // namespace outerloop::rule::fused
