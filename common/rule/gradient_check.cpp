#include "common/rule/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/base/error.h"
#include "common/rule/random.h"

namespace outerloop::rule {
namespace {

/// A direction in θ: places and their shares, of length one.
struct Direction {
  std::string name;
  std::vector<std::pair<std::size_t, double>> shares;

  double along(const std::vector<double>& gradient) const {
    double sum = 0.0;
    for (const auto& [at, share] : shares) sum += share * gradient[at];
    return sum;
  }
};

/// `number`: of the tensor in its layout.
std::vector<Direction> directions_of(const TensorSpec& tensor, std::size_t number, std::uint64_t seed) {
  const auto place = [&](std::int64_t i) { return static_cast<std::size_t>(tensor.offset + i); };
  std::vector<std::int64_t> entries = {0, tensor.size() / 2, tensor.size() - 1};
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  std::vector<Direction> directions;
  for (const auto i : entries)
    directions.push_back({std::string("[").append(std::to_string(i)).append("]"), {{place(i), 1.0}}});
  if (tensor.size() == 1) return directions;
  // Signs, not normal numbers: every number of the tensor counts alike.
  const Random random(seed, 0, static_cast<std::uint32_t>(number), Purpose::test);
  const double share = 1.0 / std::sqrt(static_cast<double>(tensor.size()));
  Direction all{"all", {}};
  for (std::int64_t i = 0; i < tensor.size(); ++i)
    all.shares.emplace_back(place(i), random.bits(static_cast<std::uint32_t>(i)) % 2 == 0 ? share : -share);
  directions.push_back(std::move(all));
  return directions;
}

double central_difference(Engine& engine, const GradientProblem& problem, const Direction& direction,
                          double step) {
  const auto objective = [&](double change) {
    auto theta = problem.theta;
    for (const auto& [at, share] : direction.shares) theta[at] += share * change;
    return mean_meta_objective(engine, problem, theta);
  };
  return (objective(step) - objective(-step)) / (2.0 * step);
}

/// `scale`: that of the relative difference.
TensorGradient compare(Engine& engine, const GradientProblem& problem, const Direction& direction,
                       double analytic, double scale, const DifferenceOptions& options) {
  using Limits = std::numeric_limits<double>;
  TensorGradient best{"", direction.name, analytic, Limits::quiet_NaN(), Limits::infinity()};
  for (const double step : options.steps) {
    const double numeric = central_difference(engine, problem, direction, step);
    const double difference = std::abs(numeric - analytic) / scale;
    if (!(difference < best.difference)) continue;
    best.numeric = numeric;
    best.difference = difference;
    if (best.difference < 0.1 * options.tolerance) break;
  }
  return best;
}

}  // namespace

double mean_meta_objective(Engine& engine, const GradientProblem& problem, const std::vector<double>& theta) {
  auto phi = problem.phi;
  double sum = 0.0;
  for (const auto& step : problem.steps) {
    phi = engine.unroll(problem.architecture, theta, phi, {step.inner});
    sum += engine.meta_objective(problem.architecture, theta, phi, step);
  }
  return sum / static_cast<double>(problem.steps.size());
}

const TensorGradient& GradientCheck::worst() const {
  OUTERLOOP_CHECK(!tensors.empty(), "no tensor was compared");
  return *std::max_element(tensors.begin(), tensors.end(),
                           [](const auto& a, const auto& b) { return a.difference < b.difference; });
}

GradientCheck check_gradient(Engine& engine, const GradientProblem& problem, const DifferenceOptions& options,
                             std::uint64_t seed) {
  const auto result = engine.truncation(problem.architecture, problem.theta, problem.phi, problem.steps);
  GradientCheck check;
  check.outcome = result.outcome;
  if (result.outcome != Outcome::finished) return check;
  check.objective = result.mean_meta_objective;
  check.forward_objective = mean_meta_objective(engine, problem, problem.theta);
  const auto largest = [&](std::int64_t first, std::int64_t count) {
    double most = 0.0;
    for (std::int64_t i = first; i < first + count; ++i)
      most = std::max(most, std::abs(result.d_theta[static_cast<std::size_t>(i)]));
    return most;
  };
  check.largest = largest(0, engine.theta_layout().size());
  const double least_scale = std::max({options.smallest_scale * check.largest,
                                       options.smallest_of_objective * std::abs(check.objective),
                                       std::numeric_limits<double>::min()});
  for (const auto& tensor : engine.theta_layout().tensors()) {
    const double scale = std::max(least_scale, largest(tensor.offset, tensor.size()));
    TensorGradient worst;
    for (const auto& direction : directions_of(tensor, check.tensors.size(), seed)) {
      const auto compared =
          compare(engine, problem, direction, direction.along(result.d_theta), scale, options);
      if (worst.place.empty() || compared.difference > worst.difference) worst = compared;
    }
    worst.tensor = tensor.name;
    check.tensors.push_back(std::move(worst));
  }
  return check;
}

}  // namespace outerloop::rule
