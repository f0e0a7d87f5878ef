#pragma once
// Compares an engine's meta-gradient with central differences of its meta-objective.
#include <cstdint>
#include <string>
#include <vector>

#include "common/rule/engine.h"

namespace outerloop::rule {

/// One truncation.
struct GradientProblem {
  Architecture architecture;
  std::vector<double> theta, phi;
  std::vector<StepData> steps;  ///< of its k inner steps
};

/// The mean of the meta-objectives after each step with `theta`, from unroll() and meta_objective() alone.
double mean_meta_objective(Engine& engine, const GradientProblem& problem, const std::vector<double>& theta);

/// How derivatives are estimated, and when they agree: for engines that compute in float64.
struct DifferenceOptions {
  /// Changes of θ, tried until one agrees. A long one loses the fewest digits (gradients may be small beside
  /// J) but may cross a kink, where a relu changes sides. A gradient that is wrong is wrong at every one.
  std::vector<double> steps = {1e-5, 1e-6, 1e-7, 1e-4, 1e-3};
  /// Differences have rounding noise in proportion to J: gradients below these shares of the largest gradient
  /// and of J are compared with those shares.
  double smallest_scale = 1e-3;
  double smallest_of_objective = 1e-6;
  double tolerance = 1e-5;  ///< of TensorGradient::difference
};

/// The derivative that agrees worst of those that were compared in one tensor of θ: single numbers (the
/// first, the middle and the last), and a random direction in which all of its numbers change.
struct TensorGradient {
  std::string tensor;
  std::string place;      ///< "[3]", or "all" for the direction
  double analytic = 0.0;  ///< by the engine
  double numeric = 0.0;   ///< (J(θ + h) − J(θ − h)) / 2h, of the h that agrees best
  /// |analytic − numeric| relative to the tensor's largest gradient (see smallest_scale)
  double difference = 0.0;
};

struct GradientCheck {
  Outcome outcome = Outcome::finished;  ///< of the truncation; all below is empty unless it finished
  double objective = 0.0;               ///< the mean meta-objective, as truncation() returns it
  double forward_objective = 0.0;       ///< as mean_meta_objective() returns it
  double largest = 0.0;                 ///< largest gradient of all
  std::vector<TensorGradient> tensors;  ///< in θ's order

  /// The tensor that agrees worst. Needs one at least.
  const TensorGradient& worst() const;
};

/// `seed`: of the random directions.
GradientCheck check_gradient(Engine& engine, const GradientProblem& problem, const DifferenceOptions& options,
                             std::uint64_t seed = 0);

}  // namespace outerloop::rule
