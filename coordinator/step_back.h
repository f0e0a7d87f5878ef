#pragma once
// Recovery from divergence: when the meta-objective has risen far above its lowest, θ and the optimizer
// return to where it was low, and go on from there with a smaller learning rate. All of it follows from the
// gradients alone, so runs that are bitwise equal step back alike.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/store/files.h"

namespace outerloop::coordinator {

/// Without defaults: config.proto states them.
struct StepBackOptions {
  double tolerance =
      0.0;  ///< step back where the running mean exceeds (1 + tolerance) · its lowest; 0: never
  std::int64_t every_updates = 0;  ///< between two safe points; the first so many updates have none
  double learning_rate_factor = 0.0;
  std::int64_t most = 0;  ///< steps back in a run; what diverges after the last is left to diverge
};

/// Counter of a checkpoint: steps back so far.
inline constexpr const char* kStepsBack = "steps_back";

class StepBack {
 public:
  /// Goes on from a checkpoint's safe point and history.
  StepBack(const StepBackOptions& options, const store::Checkpoint& start);

  const std::optional<store::SafePoint>& safe_point() const { return safe_; }

  /// Looks at θ after `update`, whose running mean is `smooth`. True: the caller returns to safe_point() now.
  bool diverged(bool finite, std::int64_t update, double smooth, std::int64_t steps_back) const;

  /// True where θ as it is after `update` is to become the safe point: the running mean is near its lowest.
  bool wants_safe_point(std::int64_t update, double smooth);
  void set_safe_point(store::SafePoint point) { safe_ = std::move(point); }

 private:
  StepBackOptions options_;
  std::optional<store::SafePoint> safe_;
  double lowest_;
};

}  // namespace outerloop::coordinator
