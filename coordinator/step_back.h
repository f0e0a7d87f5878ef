#pragma once
// Recovery from divergence: when the meta-objective has risen far above its minimum, θ and the optimizer
// return to a safe point near the minimum and continue with a smaller learning rate. Decisions depend on the
// gradients alone, so bitwise equal runs step back at the same updates.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/store/files.h"

namespace outerloop::coordinator {

/// No defaults here; they are in config.proto.
struct StepBackOptions {
  double tolerance = 0.0;          ///< step back above (1 + tolerance) · the lowest running mean; 0: never
  std::int64_t every_updates = 0;  ///< between two safe points, and before the first
  double learning_rate_factor = 0.0;
  std::int64_t most = 0;  ///< steps back in a run; later divergence has no remedy
};

/// Counter of a checkpoint: steps back so far.
inline constexpr const char* kStepsBack = "steps_back";

class StepBack {
 public:
  /// Continues from a checkpoint's safe point and history.
  StepBack(const StepBackOptions& options, const store::Checkpoint& start);

  const std::optional<store::SafePoint>& safe_point() const { return safe_; }

  /// Whether θ after `update`, with running mean `smooth`, has diverged. If so, the caller returns to
  /// safe_point() at once.
  bool diverged(bool finite, std::int64_t update, double smooth, std::int64_t steps_back) const;

  /// Whether θ after `update` should become the safe point: the running mean is near its minimum.
  bool wants_safe_point(std::int64_t update, double smooth);
  void set_safe_point(store::SafePoint point) { safe_ = std::move(point); }

 private:
  StepBackOptions options_;
  std::optional<store::SafePoint> safe_;
  double lowest_;
};

}  // namespace outerloop::coordinator
