#pragma once
// The simulation's engine: cheap, with results that reveal every mistake. Its gradient and its φ depend on θ,
// φ and the data, so a stream resumed at a wrong position, a missing gradient or a sum in another order
// changes θ. Occasionally it returns no gradient, or a far too large one.
#include <cmath>
#include <limits>

#include "tests/toy_engine.h"

namespace outerloop::simulation {

class Engine : public tests::ToyEngine {
 public:
  /// A gradient of this norm is rejected; others are far below.
  static constexpr double kTooLarge = 1e6;

  explicit Engine(std::int64_t parameters) : ToyEngine(parameters) {}

  rule::TruncationResult truncation(const rule::Architecture&, const std::vector<double>& theta,
                                    const std::vector<double>& phi,
                                    const std::vector<rule::StepData>& steps) override {
    rule::TruncationResult result;
    double seen = 0.0;
    for (std::size_t i = 0; i < phi.size(); ++i) seen += phi[i] * static_cast<double>(i % 7 + 1);
    for (const auto& step : steps) seen += step.inner.x.front() - 0.5 * step.inner.x.back();
    const auto chance = static_cast<std::int64_t>(std::abs(seen) * 1e6) % 64;
    result.outcome = chance == 0   ? rule::Outcome::dead_features
                     : chance == 1 ? rule::Outcome::not_finite
                                   : rule::Outcome::finished;
    if (result.outcome != rule::Outcome::finished) return result;
    const double scale = chance == 2 ? kTooLarge : 1.0;
    double objective = 0.0;
    for (std::size_t i = 0; i < theta.size(); ++i) {
      const double away = theta[i] - kTarget;
      objective += 0.5 * away * away;
      result.d_theta.push_back(scale * (away + 0.3 * std::sin(seen + static_cast<double>(i))));
    }
    result.mean_meta_objective = objective;
    result.meta_objective.assign(steps.size(), objective);
    for (std::size_t i = 0; i < 2 * steps.size(); ++i) step_done();
    result.phi = phi;
    const double step = 0.01 * static_cast<double>(steps.size());
    for (std::size_t i = 0; i < phi.size(); ++i)
      result.phi[i] += step * std::sin(seen + theta[i % theta.size()]);
    return result;
  }

  std::vector<double> unroll(const rule::Architecture&, const std::vector<double>& theta,
                             const std::vector<double>& phi,
                             const std::vector<rule::Batch>& minibatches) override {
    auto result = phi;
    for (const auto& batch : minibatches) {
      for (std::size_t i = 0; i < result.size(); ++i)
        result[i] += 0.01 * std::sin(batch.x.front() + theta[i % theta.size()]);
      step_done();
    }
    return result;
  }

  /// Occasionally features are dead.
  double meta_objective(const rule::Architecture&, const std::vector<double>& theta,
                        const std::vector<double>& phi, const rule::StepData& step) override {
    const double seen = phi[0] + phi[phi.size() / 2] + step.b.x.back();
    const auto chance = static_cast<std::int64_t>(std::abs(seen) * 1e6) % 32;
    if (chance == 0) return std::numeric_limits<double>::quiet_NaN();
    double objective = 0.1 * std::sin(seen);
    for (const double value : theta) objective += 0.5 * (value - kTarget) * (value - kTarget);
    return objective;
  }
};

}  // namespace outerloop::simulation
