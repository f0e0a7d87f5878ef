#pragma once
// Steps back from divergence by their definition alone: one pass over what every update brought.
#include <cstdint>
#include <optional>
#include <vector>

#include "coordinator/coordinator.h"

namespace outerloop::simulation {

class PlainStepBack {
 public:
  /// Goes on from a checkpoint: its safe point, its history of the running mean, its counters.
  PlainStepBack(const coordinator::StepBackOptions& options, const store::Checkpoint& start);

  /// A gradient of the update being made. All are of one dataset.
  void add(double meta_objective);
  /// After update `now.update` of the gradients added, which has led to `now`: what to step back to, if it
  /// has diverged.
  std::optional<store::SafePoint> after(const store::SafePoint& now);

  const std::optional<store::SafePoint>& safe_point() const { return safe_; }
  std::int64_t steps() const { return steps_; }
  /// What the learning rate is multiplied with.
  double factor() const;

 private:
  coordinator::StepBackOptions options_;
  std::vector<double> smooth_;  ///< the running mean after each update, from the first on
  double mean_ = 0.0;
  std::int64_t count_ = 0;  ///< gradients in it
  std::int64_t first_ = 0;  ///< update that brought the first gradient; 0: none has
  std::int64_t steps_ = 0;
  std::optional<store::SafePoint> safe_;
};

}  // namespace outerloop::simulation
