#include "common/rule/estimator.h"

#include <algorithm>
#include <cmath>

#include "common/base/error.h"
#include "common/rule/checks.h"

namespace outerloop::rule {
namespace {

/// Inner steps of one member, with the meta-objective after each.
struct Walk {
  Outcome outcome = Outcome::finished;
  std::vector<double> objective;
  double mean = 0.0;
  std::vector<double> phi;
};

/// Uses `theta` and starts from `phi`, in place of the input's own.
Walk walk(Engine& engine, const TruncationInput& input, const std::vector<double>& theta,
          const std::vector<double>& phi) {
  Walk result;
  result.phi = phi;
  for (const StepData& step : input.steps) {
    result.phi = engine.unroll(input.architecture, theta, result.phi, {step.inner});
    if (!all_finite(result.phi)) {
      result.outcome = Outcome::not_finite;
      return result;
    }
    const double objective = engine.meta_objective(input.architecture, theta, result.phi, step);
    if (!std::isfinite(objective)) {
      result.outcome = Outcome::dead_features;
      return result;
    }
    result.objective.push_back(objective);
    result.mean += objective / static_cast<double>(input.steps.size());
  }
  return result;
}

/// σ times standard normal numbers, drawn afresh for every pair of every truncation.
std::vector<double> draw_noise(const EstimatorOptions& options, const TruncationInput& input,
                               std::size_t pair) {
  const std::size_t size = input.theta.size();
  const std::uint64_t block =
      std::uint64_t{input.truncation} * static_cast<std::uint64_t>(options.pairs) + std::uint64_t{pair};
  if ((block + 1) * size > std::uint64_t{UINT32_MAX})
    throw Error(
        "truncation " + std::to_string(input.truncation) +
        " is beyond the range of a task's random numbers: lower tasks.max_inner_steps or estimator.pairs");
  std::vector<double> noise(size);
  auto element = static_cast<std::uint32_t>(block * size);
  for (double& value : noise) value = options.deviation * input.random.normal(element++);
  return noise;
}

std::vector<double> moved(const std::vector<double>& theta, const std::vector<double>& noise, double sign) {
  std::vector<double> result(theta.size());
  for (std::size_t i = 0; i < theta.size(); ++i) result[i] = theta[i] + sign * noise[i];
  return result;
}

/// Unrolls both members of a pair, updates its state and adds its share of the gradient to `gradient`.
class PairWalk {
 public:
  PairWalk(Engine& engine, const EstimatorOptions& options, const TruncationInput& input,
           const std::vector<double>& noise, const std::vector<double>& phi_plus,
           const std::vector<double>& phi_minus)
      : options_(options),
        plus_(walk(engine, input, moved(input.theta, noise, 1.0), phi_plus)),
        minus_(walk(engine, input, moved(input.theta, noise, -1.0), phi_minus)) {}

  Outcome outcome() const { return plus_.outcome != Outcome::finished ? plus_.outcome : minus_.outcome; }
  const Walk& plus() const { return plus_; }
  const Walk& minus() const { return minus_; }

  void add_gradient(const std::vector<double>& noise, std::vector<double>& gradient) const {
    const double slope = (plus_.mean - minus_.mean) / (2.0 * options_.deviation * options_.deviation);
    const double share = slope / static_cast<double>(options_.pairs);
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] += share * noise[i];
  }

 private:
  const EstimatorOptions& options_;
  Walk plus_;
  Walk minus_;
};

void add_objectives(const Walk& member, double share, TruncationResult& result) {
  result.meta_objective.resize(member.objective.size());
  for (std::size_t i = 0; i < member.objective.size(); ++i)
    result.meta_objective[i] += share * member.objective[i];
  result.mean_meta_objective += share * member.mean;
}

/// Gradient, objectives and φ by evolution alone; advances `pairs`.
TruncationResult evolve(Engine& engine, const EstimatorOptions& options, const TruncationInput& input,
                        std::vector<PerturbedPair>& pairs) {
  TruncationResult result;
  result.d_theta.assign(input.theta.size(), 0.0);
  std::vector<PerturbedPair> advanced;
  for (std::size_t p = 0; p < static_cast<std::size_t>(options.pairs); ++p) {
    const bool carried = options.persistent() && !pairs.empty();
    const bool reused = carried && options.kind == EstimatorKind::noise_reuse;
    std::vector<double> noise = reused ? pairs[p].noise : draw_noise(options, input, p);
    const PairWalk pair(engine, options, input, noise, carried ? pairs[p].phi_plus : input.phi,
                        carried ? pairs[p].phi_minus : input.phi);
    if (pair.outcome() != Outcome::finished) {
      result = TruncationResult();
      result.outcome = pair.outcome();
      return result;
    }
    if (carried && !reused)
      for (std::size_t i = 0; i < noise.size(); ++i) noise[i] += pairs[p].noise[i];
    pair.add_gradient(noise, result.d_theta);
    const double share = 0.5 / static_cast<double>(options.pairs);
    add_objectives(pair.plus(), share, result);
    add_objectives(pair.minus(), share, result);
    if (options.persistent()) advanced.push_back({std::move(noise), pair.plus().phi, pair.minus().phi});
  }
  if (options.persistent()) result.phi = advanced.front().phi_plus;
  pairs = std::move(advanced);
  return result;
}

void check(const EstimatorOptions& options, const Engine& engine, const TruncationInput& input,
           const std::vector<PerturbedPair>& pairs) {
  OUTERLOOP_CHECK(options.deviation > 0.0, "deviation " + std::to_string(options.deviation));
  OUTERLOOP_CHECK(options.pairs >= 1, "pairs " + std::to_string(options.pairs));
  OUTERLOOP_CHECK(options.backpropagation_share >= 0.0 && options.backpropagation_share <= 1.0,
                  "share " + std::to_string(options.backpropagation_share));
  OUTERLOOP_CHECK_EQ(static_cast<std::int64_t>(input.theta.size()), engine.theta_layout().size());
  if (!options.persistent() || pairs.empty()) return;
  OUTERLOOP_CHECK_EQ(pairs.size(), static_cast<std::size_t>(options.pairs));
  for (const PerturbedPair& pair : pairs)
    OUTERLOOP_CHECK(pair.noise.size() == input.theta.size() && pair.phi_plus.size() == input.phi.size() &&
                        pair.phi_minus.size() == input.phi.size(),
                    "a pair's sizes are not those of θ and φ");
}

/// Whether one call of the engine can take all of them.
bool belong_together(const std::vector<TruncationInput>& lanes) {
  return std::all_of(lanes.begin(), lanes.end(), [&](const TruncationInput& lane) {
    return lane.architecture.units == lanes.front().architecture.units;
  });
}

}  // namespace

const char* estimator_name(EstimatorKind kind) {
  switch (kind) {
    case EstimatorKind::backpropagation:
      return "backpropagation";
    case EstimatorKind::evolution:
      return "evolution";
    case EstimatorKind::persistent_evolution:
      return "persistent_evolution";
    case EstimatorKind::noise_reuse:
      return "noise_reuse";
  }
  return "unknown";
}

TruncationResult estimate_gradient(Engine& engine, const EstimatorOptions& options,
                                   const TruncationInput& input, std::vector<PerturbedPair>& pairs) {
  const auto backpropagate = [&] {
    return engine.truncation(input.architecture, input.theta, input.phi, input.steps);
  };
  if (options.kind == EstimatorKind::backpropagation) return backpropagate();
  check(options, engine, input, pairs);
  const double share = options.backpropagation_share;
  TruncationResult exact;
  if (share > 0.0) {
    exact = backpropagate();
    if (exact.outcome != Outcome::finished) return exact;
  }
  TruncationResult result = evolve(engine, options, input, pairs);
  if (result.outcome != Outcome::finished) return result;
  if (share > 0.0) {
    for (std::size_t i = 0; i < exact.d_theta.size(); ++i)
      exact.d_theta[i] = share * exact.d_theta[i] + (1.0 - share) * result.d_theta[i];
    return exact;
  }
  if (!options.persistent()) {
    std::vector<Batch> minibatches;
    for (const StepData& step : input.steps) minibatches.push_back(step.inner);
    result.phi = engine.unroll(input.architecture, input.theta, input.phi, minibatches);
  }
  return result;
}

std::vector<TruncationResult> estimate_gradients(Engine& engine, const EstimatorOptions& options,
                                                 const std::vector<TruncationInput>& lanes,
                                                 std::vector<std::vector<PerturbedPair>>& pairs) {
  OUTERLOOP_CHECK_EQ(lanes.size(), pairs.size());
  if (lanes.size() > 1 && options.kind == EstimatorKind::backpropagation && belong_together(lanes)) {
    std::vector<TruncationLane> together;
    for (const auto& lane : lanes) together.push_back({lane.phi, lane.steps});
    return engine.truncations(lanes.front().architecture, lanes.front().theta, together);
  }
  std::vector<TruncationResult> results;
  for (std::size_t l = 0; l < lanes.size(); ++l)
    results.push_back(estimate_gradient(engine, options, lanes[l], pairs[l]));
  return results;
}

}  // namespace outerloop::rule
