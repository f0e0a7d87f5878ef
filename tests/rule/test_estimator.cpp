// Gradient estimators on a problem with known gradients in closed form, and continuation from a stored state.
#include <array>
#include <cmath>
#include <limits>

#include "common/base/error.h"
#include "common/rule/estimator.h"
#include "tests/catch.h"

using namespace outerloop;
using rule::EstimatorKind;
using rule::EstimatorOptions;
using rule::PerturbedPair;
using rule::StepData;

namespace {

using Pair = std::array<double, 2>;

/// φ is one number: φ ← 0.9 φ + θ · x; J = ½ (φ − c)². The effect of θ on φ lasts for about ten steps, so
/// that truncated gradients are far off. J is quadratic in θ, so smoothing over θ does not change gradients.
class LinearEngine : public rule::Engine {
 public:
  static constexpr double kDecay = 0.9;

  const rule::RuleOptions& rule() const override { return rule_; }
  const rule::Layout& theta_layout() const override { return layout_; }

  static double step_phi(const std::vector<double>& theta, double phi, const std::vector<double>& x) {
    return kDecay * phi + theta[0] * x[0] + theta[1] * x[1];
  }

  /// `sensitivity`, ∂φ/∂θ, starts at zero here; the untruncated gradient carries it over.
  static rule::TruncationResult walk(const std::vector<double>& theta, double phi, Pair& sensitivity,
                                     const std::vector<StepData>& steps) {
    rule::TruncationResult result;
    result.d_theta = {0.0, 0.0};
    for (const StepData& step : steps) {
      phi = step_phi(theta, phi, step.inner.x);
      const double away = phi - step.b.x[0];
      for (std::size_t i = 0; i < 2; ++i) {
        sensitivity[i] = kDecay * sensitivity[i] + step.inner.x[i];
        result.d_theta[i] += away * sensitivity[i] / static_cast<double>(steps.size());
      }
      result.meta_objective.push_back(0.5 * away * away);
      result.mean_meta_objective += 0.5 * away * away / static_cast<double>(steps.size());
    }
    result.phi = {phi};
    return result;
  }

  rule::TruncationResult truncation(const rule::Architecture&, const std::vector<double>& theta,
                                    const std::vector<double>& phi,
                                    const std::vector<StepData>& steps) override {
    Pair sensitivity{};
    return walk(theta, phi[0], sensitivity, steps);
  }

  std::vector<double> unroll(const rule::Architecture&, const std::vector<double>& theta,
                             const std::vector<double>& phi,
                             const std::vector<rule::Batch>& minibatches) override {
    double value = phi[0];
    for (const auto& batch : minibatches) value = step_phi(theta, value, batch.x);
    return {value > limit ? std::numeric_limits<double>::infinity() : value};
  }

  double meta_objective(const rule::Architecture&, const std::vector<double>&, const std::vector<double>& phi,
                        const StepData& step) override {
    if (dead) return std::numeric_limits<double>::quiet_NaN();
    return 0.5 * (phi[0] - step.b.x[0]) * (phi[0] - step.b.x[0]);
  }

  std::string description() const override { return "linear"; }
  std::string instruction_set() const override { return "linear"; }

  bool dead = false;
  double limit = std::numeric_limits<double>::infinity();  ///< of φ, beyond which it is not finite

 private:
  rule::RuleOptions rule_;
  rule::Layout layout_{{{"toy", {2}, "one", rule::Initializer::truncated_normal(1.0), false, 0}}};
};

constexpr int kTruncations = 5;
constexpr int kSteps = 2;
const std::vector<double> kTheta = {0.3, -0.2};
const std::vector<double> kPhi = {0.5};
const rule::Architecture kArchitecture{{2, 1}, rule::Nonlinearity::relu};

/// The steps of a task's truncation, always the same.
std::vector<StepData> steps_of(int truncation) {
  std::vector<StepData> steps(kSteps);
  for (int i = 0; i < kSteps; ++i) {
    const double t = truncation * kSteps + i;
    steps[static_cast<std::size_t>(i)].inner.x = {1.0 + 0.5 * std::sin(t), std::cos(2.0 * t)};
    steps[static_cast<std::size_t>(i)].b.x = {0.1 * t};
  }
  return steps;
}

rule::Random noise(std::uint32_t task) { return rule::Random(7, 0, task, rule::Purpose::perturbation); }

/// Gradients of each truncation of a task under constant θ: [truncations].
std::vector<Pair> known_gradients(bool truncated) {
  std::vector<Pair> gradients;
  double phi = kPhi[0];
  Pair sensitivity{};
  for (int t = 0; t < kTruncations; ++t) {
    if (truncated) sensitivity = {};
    const auto result = LinearEngine::walk(kTheta, phi, sensitivity, steps_of(t));
    gradients.push_back({result.d_theta[0], result.d_theta[1]});
    phi = result.phi[0];
  }
  return gradients;
}

struct Estimate {
  Pair mean{};
  Pair error{};  ///< standard error of the mean
};

/// The estimator's mean over many tasks that differ only in their noise: [truncations].
std::vector<Estimate> estimates(const EstimatorOptions& options, std::uint32_t tasks) {
  LinearEngine engine;
  std::vector<Estimate> result(kTruncations);
  std::vector<Pair> squares(kTruncations);
  for (std::uint32_t task = 0; task < tasks; ++task) {
    std::vector<PerturbedPair> pairs;
    std::vector<double> phi = kPhi;
    for (std::uint32_t t = 0; t < kTruncations; ++t) {
      const auto one = rule::estimate_gradient(
          engine, options, {kArchitecture, kTheta, phi, steps_of(static_cast<int>(t)), noise(task), t},
          pairs);
      REQUIRE(one.outcome == rule::Outcome::finished);
      if (!options.persistent()) phi = one.phi;
      for (std::size_t i = 0; i < 2; ++i) {
        result[t].mean[i] += one.d_theta[i] / tasks;
        squares[t][i] += one.d_theta[i] * one.d_theta[i] / tasks;
      }
    }
  }
  for (std::size_t t = 0; t < kTruncations; ++t)
    for (std::size_t i = 0; i < 2; ++i)
      result[t].error[i] = std::sqrt((squares[t][i] - result[t].mean[i] * result[t].mean[i]) / tasks);
  return result;
}

void check_unbiased(const std::vector<Estimate>& found, const std::vector<Pair>& known) {
  for (std::size_t t = 0; t < kTruncations; ++t)
    for (std::size_t i = 0; i < 2; ++i) {
      INFO("truncation " << t << ", number " << i << ": " << found[t].mean[i] << " ± " << found[t].error[i]
                         << ", known " << known[t][i]);
      CHECK(std::abs(found[t].mean[i] - known[t][i]) < 4.5 * found[t].error[i]);
    }
}

}  // namespace

TEST_CASE("truncation biases backpropagation and evolution strategies, not those that keep their φ") {
  const auto truncated = known_gradients(true), whole = known_gradients(false);
  LinearEngine engine;
  std::vector<PerturbedPair> none;
  std::vector<double> phi = kPhi;
  for (int t = 0; t < kTruncations; ++t) {
    const auto result =
        rule::estimate_gradient(engine, {}, {kArchitecture, kTheta, phi, steps_of(t), noise(0), 0}, none);
    CHECK(result.d_theta[0] == truncated[static_cast<std::size_t>(t)][0]);
    phi = result.phi;
  }
  const std::uint32_t tasks = 20000;
  const auto evolution = estimates({EstimatorKind::evolution, 0.01, 1, 0.0}, tasks);
  check_unbiased(evolution, truncated);
  const auto persistent = estimates({EstimatorKind::persistent_evolution, 0.01, 1, 0.0}, tasks);
  check_unbiased(persistent, whole);
  const auto reused = estimates({EstimatorKind::noise_reuse, 0.01, 1, 0.0}, tasks);
  check_unbiased(reused, whole);
  // Both begin alike; then the sum of noise spreads, and the one ε does not (measured here: 0.945 times).
  CHECK(reused[0].error == persistent[0].error);
  CHECK(reused[kTruncations - 1].error[0] < 0.97 * persistent[kTruncations - 1].error[0]);
  // The two answers are far apart, in the later truncations by many standard errors.
  for (std::size_t t = 2; t < kTruncations; ++t) {
    CHECK(std::abs(evolution[t].mean[0] - whole[t][0]) > 20.0 * evolution[t].error[0]);
    CHECK(std::abs(persistent[t].mean[0] - truncated[t][0]) > 20.0 * persistent[t].error[0]);
    CHECK(std::abs(reused[t].mean[0] - truncated[t][0]) > 20.0 * reused[t].error[0]);
  }
}

TEST_CASE("more pairs give less noise, and the mean with backpropagation lies between") {
  const auto one = estimates({EstimatorKind::persistent_evolution, 0.01, 1, 0.0}, 2000);
  const auto sixteen = estimates({EstimatorKind::persistent_evolution, 0.01, 16, 0.0}, 2000);
  for (std::size_t t = 0; t < kTruncations; ++t) {
    CHECK(sixteen[t].error[0] < 0.35 * one[t].error[0]);  // a quarter is expected
    CHECK(sixteen[t].error[0] > 0.18 * one[t].error[0]);
  }
  // The backpropagation part starts from the φ of unperturbed θ.
  LinearEngine engine;
  const auto truncated = known_gradients(true);
  std::vector<PerturbedPair> alone, mixed;
  std::vector<double> phi = kPhi;
  for (std::uint32_t t = 0; t < kTruncations; ++t) {
    const auto steps = steps_of(static_cast<int>(t));
    const rule::TruncationInput input{kArchitecture, kTheta, phi, steps, noise(3), t};
    const auto pure =
        rule::estimate_gradient(engine, {EstimatorKind::persistent_evolution, 0.01, 2, 0.0}, input, alone);
    const auto mean =
        rule::estimate_gradient(engine, {EstimatorKind::persistent_evolution, 0.01, 2, 0.5}, input, mixed);
    for (std::size_t i = 0; i < 2; ++i)
      CHECK(mean.d_theta[i] == Approx(0.5 * truncated[t][i] + 0.5 * pure.d_theta[i]).epsilon(1e-12));
    phi = mean.phi;
  }
}

TEST_CASE("perturbations are the same for the same task, other ones for every truncation and pair") {
  LinearEngine engine;
  const EstimatorOptions options{EstimatorKind::persistent_evolution, 0.1, 2, 0.0};
  const auto first = [&](std::uint32_t task, std::uint32_t truncation) {
    std::vector<PerturbedPair> pairs;
    rule::estimate_gradient(engine, options,
                            {kArchitecture, kTheta, kPhi, steps_of(0), noise(task), truncation}, pairs);
    REQUIRE(pairs.size() == 2);
    CHECK(pairs[0].noise != pairs[1].noise);
    return pairs[0].noise;
  };
  CHECK(first(1, 0) == first(1, 0));
  CHECK(first(1, 0) != first(2, 0));
  CHECK(first(1, 0) != first(1, 1));
}

TEST_CASE("noise reuse keeps a pair's noise over a task, and its members' φ go on") {
  LinearEngine engine;
  const EstimatorOptions options{EstimatorKind::noise_reuse, 0.1, 2, 0.0};
  std::vector<PerturbedPair> pairs;
  std::vector<double> phi = kPhi;
  Pair unused{};
  std::vector<double> plus = kPhi;
  for (std::uint32_t t = 0; t < kTruncations; ++t) {
    const auto before = pairs;
    const auto steps = steps_of(static_cast<int>(t));
    const auto result =
        rule::estimate_gradient(engine, options, {kArchitecture, kTheta, phi, steps, noise(5), t}, pairs);
    REQUIRE(pairs.size() == 2);
    if (t > 0) CHECK(pairs[1].noise == before[1].noise);
    CHECK(pairs[0].noise != pairs[1].noise);
    const std::vector<double> theta{kTheta[0] + pairs[0].noise[0], kTheta[1] + pairs[0].noise[1]};
    plus = LinearEngine::walk(theta, plus[0], unused, steps).phi;
    CHECK(pairs[0].phi_plus[0] == Approx(plus[0]));
    CHECK(result.phi == pairs[0].phi_plus);
    phi = result.phi;
  }
}

TEST_CASE("evolution goes on with the φ of unperturbed θ") {
  LinearEngine engine;
  std::vector<PerturbedPair> pairs;
  const auto result = rule::estimate_gradient(engine, {EstimatorKind::evolution, 0.1, 3, 0.0},
                                              {kArchitecture, kTheta, kPhi, steps_of(0), noise(0), 0}, pairs);
  Pair unused{};
  CHECK(result.phi[0] == Approx(LinearEngine::walk(kTheta, kPhi[0], unused, steps_of(0)).phi[0]));
  CHECK(pairs.empty());
  CHECK(result.meta_objective.size() == kSteps);
  CHECK(result.mean_meta_objective ==
        Approx((result.meta_objective[0] + result.meta_objective[1]) / 2.0).epsilon(1e-12));
}

TEST_CASE("a member without an answer is no gradient, and leaves the pairs as they were") {
  LinearEngine engine;
  const EstimatorOptions options{EstimatorKind::persistent_evolution, 0.01, 2, 0.0};
  std::vector<PerturbedPair> pairs;
  rule::estimate_gradient(engine, options, {kArchitecture, kTheta, kPhi, steps_of(0), noise(0), 0}, pairs);
  const auto before = pairs;
  const auto go = [&] {
    return rule::estimate_gradient(engine, options, {kArchitecture, kTheta, kPhi, steps_of(1), noise(0), 1},
                                   pairs);
  };
  engine.dead = true;
  CHECK(go().outcome == rule::Outcome::dead_features);
  engine.dead = false;
  engine.limit = 0.0;
  const auto result = go();
  CHECK(result.outcome == rule::Outcome::not_finite);
  CHECK(result.d_theta.empty());
  CHECK(pairs[1].noise == before[1].noise);
  CHECK(pairs[0].phi_plus == before[0].phi_plus);
}

namespace {

/// Counts calls of several lanes.
class CountingEngine : public LinearEngine {
 public:
  std::vector<rule::TruncationResult> truncations(const rule::Architecture& architecture,
                                                  const std::vector<double>& theta,
                                                  const std::vector<rule::TruncationLane>& lanes) override {
    ++calls;
    return LinearEngine::truncations(architecture, theta, lanes);
  }
  int calls = 0;
};

}  // namespace

TEST_CASE("tasks side by side are one call of the engine where they can be, and give what each alone gives") {
  const rule::Architecture other{{2, 3, 1}, rule::Nonlinearity::relu};
  const std::vector<double> phi = {1.5};
  const auto first = steps_of(0), second = steps_of(1);
  for (const EstimatorKind kind : {EstimatorKind::backpropagation, EstimatorKind::persistent_evolution})
    for (const auto* architecture : {&kArchitecture, &other}) {
      CountingEngine engine;
      const EstimatorOptions options{kind, 0.01, 2, 0.0};
      const std::vector<rule::TruncationInput> lanes{{kArchitecture, kTheta, kPhi, first, noise(0), 0},
                                                     {*architecture, kTheta, phi, second, noise(1), 0}};
      std::vector<std::vector<PerturbedPair>> pairs(2);
      const auto together = rule::estimate_gradients(engine, options, lanes, pairs);
      const bool one_call = kind == EstimatorKind::backpropagation && architecture == &kArchitecture;
      CHECK(engine.calls == (one_call ? 1 : 0));
      REQUIRE(together.size() == 2);
      for (std::size_t l = 0; l < 2; ++l) {
        std::vector<PerturbedPair> own;
        const auto alone = rule::estimate_gradient(engine, options, lanes[l], own);
        CHECK(together[l].d_theta == alone.d_theta);
        CHECK(together[l].phi == alone.phi);
        REQUIRE(pairs[l].size() == own.size());
        for (std::size_t p = 0; p < own.size(); ++p) CHECK(pairs[l][p].noise == own[p].noise);
      }
    }
}

TEST_CASE("pairs of another size are refused") {
  LinearEngine engine;
  const EstimatorOptions options{EstimatorKind::persistent_evolution, 0.01, 1, 0.0};
  for (const PerturbedPair& wrong : {PerturbedPair{{0.0}, {0.0}, {0.0}}, PerturbedPair{{0, 0}, {}, {0.0}}}) {
    std::vector<PerturbedPair> pairs{wrong};
    CHECK_THROWS_AS(rule::estimate_gradient(engine, options,
                                            {kArchitecture, kTheta, kPhi, steps_of(0), noise(0), 1}, pairs),
                    Error);
  }
}
