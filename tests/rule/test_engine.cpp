// The common contract of all engines apart from the numbers: outcomes, errors, exact zeros, reproducible
// bits.
#include <algorithm>
#include <cmath>
#include <limits>

#include "common/base/error.h"
#include "common/rule/engines/make_engine.h"
#include "tests/catch.h"
#include "tests/rule/problem.h"
#include "tests/rule_options.h"

namespace outerloop::tests {
namespace {

rule::TruncationResult run(rule::Engine& engine, const Problem& problem) {
  return engine.truncation(problem.architecture, problem.theta, problem.phi, problem.steps);
}

/// The part of a flat vector that belongs to one tensor.
std::vector<double> part(const rule::Layout& layout, const std::string& name,
                         const std::vector<double>& values) {
  const auto& tensor = layout.at(name);
  return {values.begin() + tensor.offset, values.begin() + tensor.offset + tensor.size()};
}

void set(const rule::Layout& layout, const std::string& name, std::vector<double>& values, double value) {
  const auto& tensor = layout.at(name);
  std::fill_n(values.begin() + tensor.offset, tensor.size(), value);
}

bool all_zero(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return v == 0.0; });
}

/// The message of the InputError thrown when making this engine; fails if there is none.
std::string refusal(const rule::EngineOptions& options,
                    const rule::RuleOptions& rule = small_neuron_local()) {
  try {
    rule::make_engine(rule, options);
  } catch (const InputError& error) {
    CHECK(error.exit_code() == 2);
    return error.what();
  }
  FAIL("no InputError");
  return "";
}

bool contains(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

}  // namespace

TEST_CASE("an engine says what it is") {
  const auto engine = engine_under_test(small_neuron_local(), rule::Precision::float32);
  const bool fused = kEngineUnderTest == rule::EngineKind::fused;
  CHECK(contains(engine->description(),
                 fused ? "fused float32 cpu, 1 thread" : "reference float32 cpu, 1 thread"));
  const auto set = engine->instruction_set();
  CHECK((set == "avx512" || set == "avx2" || set == "baseline" || (fused && set == "sse4")));
  CHECK(engine->rule().name == "neuron_local");
  CHECK(engine->theta_layout().signature() == rule::theta_layout(small_neuron_local()).signature());
}

TEST_CASE("outcomes have names") {
  CHECK(std::string(rule::outcome_name(rule::Outcome::finished)) == "finished");
  CHECK(std::string(rule::outcome_name(rule::Outcome::dead_features)) == "dead_features");
  CHECK(std::string(rule::outcome_name(rule::Outcome::not_finite)) == "not_finite");
}

TEST_CASE("engines that do not exist are refused by name") {
  const auto fresh = [] { return cpu_engine(kEngineUnderTest); };
  auto options = fresh();
  options.precision = rule::Precision::mixed;
  options.instruction_set = "baseline";  // which lacks bfloat16 products
  CHECK(contains(refusal(options), "engine.precision: mixed"));
  options = fresh();
  for (const char* device : {"tpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1234567", ""}) {
    options.device = device;
    CHECK(contains(refusal(options), "device: '" + std::string(device) + "'"));
  }
  options = fresh();
  options.instruction_set = "mmx";
  CHECK(contains(refusal(options), "engine.instruction_set: 'mmx'"));
  options = fresh();
  for (const int threads : {0, -3, 100000}) {
    options.threads = threads;
    CHECK(contains(refusal(options), "engine.threads"));
  }
  options = fresh();
  options.memory_budget_mib = -1;
  CHECK(contains(refusal(options), "engine.memory_budget_mib: -1"));
}

TEST_CASE("a cuda device that is not there is refused, one that is there works") {
  auto options = cpu_engine();
  options.device = "cuda:99";
  CHECK(contains(refusal(options), "engine.kind: reference"));  // fused is the default, and CPU-only
  options.kind = rule::EngineKind::reference;
  CHECK(contains(refusal(options), "device: cuda asked for"));
  options.device = "cuda";
  options.precision = rule::Precision::float64;
  std::unique_ptr<rule::Engine> engine;
  try {
    engine = rule::make_engine(small_neuron_local(), options);
  } catch (const InputError& error) {
    CHECK(contains(error.what(), "device: cuda asked for, but"));
  }
  if (!engine) return;
  auto problem = make_problem(small_neuron_local(), ProblemSize{});
  engine = rule::make_engine(problem.rule, options);
  const auto there = run(*engine, problem), here = run(*reference_engine(problem.rule), problem);
  REQUIRE(there.outcome == rule::Outcome::finished);
  for (std::size_t i = 0; i < here.d_theta.size(); ++i)
    CHECK(there.d_theta[i] == Approx(here.d_theta[i]).epsilon(1e-6).margin(1e-9));
}

TEST_CASE("rules that do not exist are refused by name") {
  auto options = small_neuron_local();
  options.name = "no_such_rule";
  CHECK(contains(refusal({}, options), "no_such_rule"));
  options = small_neuron_local();
  options.neuron_local.readout_channels = 0;
  CHECK(contains(refusal({}, options), "rule.readout_channels: 0"));
  options = small_neuron_local();
  options.neuron_local.top_layers = -1;
  CHECK(contains(refusal({}, options), "rule.top_layers: -1"));
  options = small_neuron_local();
  options.neuron_local.hidden_channels = std::int64_t{1} << 40;
  CHECK(contains(refusal({}, options), "rule.hidden_channels"));
  options = small_neuron_local();
  options.neuron_local.ridge = 0;
  CHECK(contains(refusal({}, options), "rule.ridge"));
  options = small_neuron_local();
  options.neuron_local.inner_step_size = 0;
  CHECK(contains(refusal({}, options), "rule.inner_step_size: must be above 0"));
}

TEST_CASE("unroll, meta-objective and truncation agree to the last bit") {
  for (const auto precision : {rule::Precision::float32, rule::Precision::float64})
    for (const auto& options : {small_neuron_local(), supervised_sgd()}) {
      ProblemSize size;
      size.steps = 4;
      const auto problem = make_problem(options, size);
      const auto engine = engine_under_test(problem.rule, precision);
      INFO(engine->description() << ", " << options.name);
      const auto result = run(*engine, problem);
      REQUIRE(result.outcome == rule::Outcome::finished);
      REQUIRE(result.meta_objective.size() == 4);
      CHECK(result.d_theta.size() == problem.theta.size());
      CHECK(result.phi != problem.phi);

      const auto phi =
          engine->unroll(problem.architecture, problem.theta, problem.phi, inner_batches(problem));
      CHECK(phi == result.phi);
      const double J = engine->meta_objective(problem.architecture, problem.theta, phi, problem.steps.back());
      CHECK(J == result.meta_objective.back());
      double mean = 0;
      for (const double value : result.meta_objective) mean += value / 4;
      CHECK(result.mean_meta_objective == Approx(mean).epsilon(1e-6));

      // Repeat on the same engine and on a new one.
      for (auto* again : {engine.get(), engine_under_test(problem.rule, precision).release()}) {
        const std::unique_ptr<rule::Engine> owner(again == engine.get() ? nullptr : again);
        const auto repeated = run(*again, problem);
        CHECK(repeated.d_theta == result.d_theta);
        CHECK(repeated.phi == result.phi);
        CHECK(repeated.meta_objective == result.meta_objective);
      }
    }
}

TEST_CASE("after each inner step the engine says so, and what is thrown then leaves it as good as new") {
  struct Enough {};
  for (const auto& rule : {small_neuron_local(), supervised_sgd()}) {
    const Problem problem = make_problem(rule, {{7, 5, 6, 4}, 5, 3, 3, 0, 3, 1});
    const auto engine = engine_under_test(problem.rule);
    const auto before = run(*engine, problem);
    int steps = 0;
    engine->set_after_step([&] { ++steps; });
    CHECK(run(*engine, problem).d_theta == before.d_theta);
    // LibTorch may also report its inner gradients.
    const int k = static_cast<int>(problem.steps.size());
    CHECK((kEngineUnderTest == rule::EngineKind::fused ? steps == 2 * k : steps >= 2 * k));
    const int all = steps;
    for (int last : {1, k, k + 1, all}) {
      steps = 0;
      engine->set_after_step([&] {
        if (++steps == last) throw Enough();
      });
      CHECK_THROWS_AS(run(*engine, problem), Enough);
      CHECK(steps == last);
    }
    steps = 0;
    engine->set_after_step([&] { ++steps; });
    engine->unroll(problem.architecture, problem.theta, problem.phi, inner_batches(problem));
    CHECK(steps == k);
    engine->set_after_step({});
    const auto after = run(*engine, problem);
    CHECK(after.d_theta == before.d_theta);
    CHECK(after.phi == before.phi);
    CHECK(steps == k);
  }
}

TEST_CASE("gradients that are zero by construction are exactly zero") {
  for (const auto precision : {rule::Precision::float32, rule::Precision::float64}) {
    const auto problem = make_problem(small_neuron_local(), ProblemSize{});
    const auto engine = engine_under_test(problem.rule, precision);
    const auto result = run(*engine, problem);
    REQUIRE(result.outcome == rule::Outcome::finished);
    for (const auto& tensor : engine->theta_layout().tensors()) {
      INFO(tensor.name);
      const auto gradient = part(engine->theta_layout(), tensor.name, result.d_theta);
      if (tensor.zero_gradient) CHECK(all_zero(gradient));
      if (tensor.name.size() > 2 && tensor.name.substr(tensor.name.size() - 2) == ".w")
        CHECK_FALSE(all_zero(gradient));
    }
  }
}

TEST_CASE("bias.b has no gradient where the mean bias change is negative, and one where it is positive") {
  auto problem = make_problem(small_neuron_local(), ProblemSize{});
  const auto engine = engine_under_test(problem.rule);
  const auto& layout = engine->theta_layout();
  set(layout, "bias.b", problem.theta, -50.0);
  const auto negative = run(*engine, problem);
  REQUIRE(negative.outcome == rule::Outcome::finished);
  CHECK(part(layout, "bias.b", negative.d_theta)[0] == 0.0);
  CHECK_FALSE(all_zero(part(layout, "bias.w", negative.d_theta)));
  // Only the deviation from the mean matters there: another offset has no effect.
  set(layout, "bias.b", problem.theta, -80.0);
  CHECK(run(*engine, problem).phi == negative.phi);

  set(layout, "bias.b", problem.theta, 2.0);
  const auto positive = run(*engine, problem);
  REQUIRE(positive.outcome == rule::Outcome::finished);
  CHECK(part(layout, "bias.b", positive.d_theta)[0] != 0.0);
}

TEST_CASE("dead features are an outcome of their own") {
  auto problem = make_problem(small_neuron_local(), ProblemSize{});
  const auto layout = rule::phi_layout(problem.rule, problem.architecture);
  set(layout, "3/b", problem.phi, -1e4);
  for (const auto precision : {rule::Precision::float32, rule::Precision::float64}) {
    const auto engine = engine_under_test(problem.rule, precision);
    const auto result = run(*engine, problem);
    CHECK(result.outcome == rule::Outcome::dead_features);
    CHECK(result.d_theta.empty());
    CHECK(result.phi.empty());
    CHECK(std::isnan(
        engine->meta_objective(problem.architecture, problem.theta, problem.phi, problem.steps.front())));
    const auto phi = engine->unroll(problem.architecture, problem.theta, problem.phi, inner_batches(problem));
    CHECK(std::all_of(phi.begin(), phi.end(), [](double v) { return std::isfinite(v); }));
  }
}

TEST_CASE("numbers that are not finite are an outcome of their own") {
  const double bad[] = {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()};
  for (const auto& options : {small_neuron_local(), supervised_sgd()})
    for (const double value : bad) {
      auto problem = make_problem(options, ProblemSize{});
      const auto engine = engine_under_test(problem.rule);
      problem.phi.front() = value;
      CHECK(run(*engine, problem).outcome == rule::Outcome::not_finite);
      problem = make_problem(options, ProblemSize{});
      problem.theta.front() = value;
      const auto result = run(*engine, problem);
      CHECK(result.outcome == rule::Outcome::not_finite);
      CHECK(result.d_theta.empty());
      CHECK(result.phi.empty());
    }
  // Out of range for float32, though a valid double.
  auto problem = make_problem(small_neuron_local(), ProblemSize{});
  problem.phi.front() = 1e39;
  CHECK(run(*engine_under_test(problem.rule, rule::Precision::float32), problem).outcome ==
        rule::Outcome::not_finite);
}

/// Checks that the problem is refused with one line about `word`.
void refused(const Problem& problem, const std::string& word) {
  try {
    run(*engine_under_test(problem.rule), problem);
    FAIL("no Error about " << word);
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(contains(error.what(), word));
    CHECK_FALSE(contains(error.what(), "\n"));
  }
}

TEST_CASE("base models whose sizes do not fit are errors, not crashes") {
  const auto good = make_problem(small_neuron_local(), ProblemSize{});
  auto p = good;
  p.theta.pop_back();
  refused(p, "θ has");
  p = good;
  p.phi.push_back(0);
  refused(p, "φ of 7-5-6-4 has");
  p = good;
  p.steps.clear();
  refused(p, "no inner steps");
  p = good;
  p.architecture.units = {7, 5, 6, 5};
  refused(p, "output_units");
  p = good;
  p.architecture.units = {7};
  refused(p, "no layer");
  p = good;
  p.architecture.units = {7, 0, 6, 4};
  refused(p, "0 units");
  p = good;
  p.architecture.units = {7, std::int64_t{1} << 62, std::int64_t{1} << 62, 4};
  refused(p, "units");
  p = good;
  p.architecture.units.assign(5000, 4);
  refused(p, "4999 layers");
}

TEST_CASE("minibatches whose sizes do not fit are errors, not crashes") {
  const auto good = make_problem(small_neuron_local(), ProblemSize{});
  auto p = good;
  p.steps[1].inner.x.pop_back();
  refused(p, "minibatch 2: x");
  p = good;
  p.steps[1].inner.examples = 0;
  refused(p, "no examples");
  p = good;
  p.steps[0].inner.inputs = 8;
  refused(p, "8 inputs per example");
  p = good;
  p.steps[0].inner.examples = std::numeric_limits<std::int64_t>::max();
  refused(p, "which are not");
  p = good;
  p.steps[0].a.targets = 0;
  refused(p, "no labels");
  p = good;
  p.steps[0].b.y.push_back(0);
  refused(p, "minibatch b: y");
  p = good;
  p.steps[0].b = p.steps[0].inner;
  refused(p, "different sizes");

  auto sgd = make_problem(supervised_sgd(), ProblemSize{});
  const auto sgd_engine = engine_under_test(sgd.rule);
  sgd.steps[0].inner.targets = 5;
  sgd.steps[0].inner.y.assign(25, 0.2);
  CHECK_THROWS_AS(run(*sgd_engine, sgd), Error);
}

TEST_CASE(
    "supervised_sgd ignores the labelled minibatch a, and neuron_local the labels of its own minibatch") {
  auto problem = make_problem(supervised_sgd(), ProblemSize{});
  const auto sgd = engine_under_test(problem.rule);
  const auto with = run(*sgd, problem);
  for (auto& step : problem.steps) step.a = {};
  CHECK(run(*sgd, problem).d_theta == with.d_theta);

  problem = make_problem(small_neuron_local(), ProblemSize{});
  const auto local = engine_under_test(problem.rule);
  const auto labelled = run(*local, problem);
  for (auto& step : problem.steps) {
    step.inner.y.clear();
    step.inner.targets = 0;
  }
  CHECK(run(*local, problem).d_theta == labelled.d_theta);
}

TEST_CASE("supervised_sgd with a sensible learning rate lowers its loss") {
  ProblemSize size;
  size.units = {6, 12, 3};
  size.batch = 12;
  size.steps = 1;
  auto problem = make_problem(supervised_sgd(), size);
  auto step = problem.steps.front();
  step.b = step.inner;  // scored on its own training data
  const auto engine = engine_under_test(problem.rule, rule::Precision::float32);
  const auto& a = problem.architecture;
  const double before = engine->meta_objective(a, problem.theta, problem.phi, step);
  CHECK(before == Approx(std::log(3.0)).margin(1.0));
  const auto phi = engine->unroll(a, problem.theta, problem.phi, std::vector<rule::Batch>(200, step.inner));
  CHECK(engine->meta_objective(a, problem.theta, phi, step) < 0.2 * before);
}

}  // namespace outerloop::tests
