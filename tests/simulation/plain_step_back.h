#pragma once
// Steps back from divergence, computed from the definition: one pass over the data of every update.
#include <cstdint>
#include <optional>
#include <vector>

#include "coordinator/coordinator.h"

namespace outerloop::simulation {

class PlainStepBack {
 public:
  /// Continues from a checkpoint: its safe point, its history of the running mean, its counters.
  /// `group`: tasks whose gradients come together.
  PlainStepBack(const coordinator::StepBackOptions& options, const store::Checkpoint& start,
                std::int64_t group);

  /// A gradient of the update being made. All are of one dataset.
  void add(double meta_objective);
  /// Call after update `now.update`, which used the gradients added and led to `now`. Returns the state to
  /// step back to, if the run has diverged.
  std::optional<store::SafePoint> after(const store::SafePoint& now);

  const std::optional<store::SafePoint>& safe_point() const { return safe_; }
  std::int64_t steps() const { return steps_; }
  /// The factor of the learning rate.
  double factor() const;

 private:
  coordinator::StepBackOptions options_;
  std::int64_t window_;         ///< gradients in the running mean
  std::vector<double> smooth_;  ///< the running mean after each update, from the first one
  double mean_ = 0.0;
  std::int64_t count_ = 0;  ///< gradients in it
  std::int64_t first_ = 0;  ///< update with the first gradient; 0: none yet
  std::int64_t steps_ = 0;
  std::optional<store::SafePoint> safe_;
};

}  // namespace outerloop::simulation
