// The fused engine against the reference engine, through their common interface.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "common/base/error.h"
#include "common/rule/fused/engine.h"
#include "common/rule/fused/instruction_set.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/rule/allocations.h"
#include "tests/rule/fused/mixed.h"
#include "tests/rule/problem.h"
#include "tests/rule_options.h"

namespace outerloop::tests {
namespace {

using rule::Precision;

/// max |a − b| / max |b|
double difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double worst = 0, largest = 1e-300;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(b[i]));
  }
  return worst / largest;
}

/// Cosine between a and b, and the norm of a relative to that of b.
std::pair<double, double> direction(const std::vector<double>& a, const std::vector<double>& b) {
  double aa = 0, ab = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    aa += a[i] * a[i];
    ab += a[i] * b[i];
    bb += b[i] * b[i];
  }
  return {ab / std::sqrt(aa * bb), std::sqrt(aa / bb)};
}

rule::TruncationResult run(rule::Engine& engine, const Problem& p) {
  return engine.truncation(p.architecture, p.theta, p.phi, p.steps);
}

/// A problem of random sizes, including ones and odd numbers.
Problem random_problem(std::uint32_t seed, bool large) {
  const rule::Random random(seed, 3, 0, rule::Purpose::test);
  std::uint32_t e = 0;
  const auto from = [&](std::vector<std::int64_t> values) {
    return values[random.below(e++, values.size())];
  };
  auto options = small_neuron_local();
  auto& s = options.neuron_local;
  s.hidden_channels = large ? from({16, 20, 32}) : from({1, 2, 3, 5, 8, 9, 16});
  s.top_channels = large ? from({16, 17, 24}) : from({1, 2, 4, 7, 8, 16});
  s.delta_channels = large ? from({8, 16, 18}) : from({1, 2, 3, 6, 7, 8, 14});
  s.readout_channels = from({1, 2, 3, 4});
  s.hidden_blocks = from({0, 1, 1, 2});
  s.top_layers = from({0, 1, 2});
  s.separate_backward_readouts = random.below(e++, 4) == 0;
  ProblemSize size;
  size.units = {from({1, 2, 5, 9, 17, 33})};
  const auto layers = from({1, 2, 3, 4});
  for (std::int64_t l = 0; l < layers; ++l) size.units.push_back(from({1, 2, 3, 5, 8, 11, 19}));
  size.units.back() = from({3, 4, 6, 7});
  size.batch = large ? from({16, 33, 40}) : from({2, 3, 5, 8, 13, 16, 17});
  size.way = from({3, 4, 5});
  size.regression = from({0, 0, 1, 2});
  size.steps = from({1, 2, 3});
  size.seed = seed;
  return make_problem(options, size);
}

}  // namespace

TEST_CASE("float64: random shapes give what the reference gives") {
  double worst_phi = 0, worst_objective = 0, worst_gradient = 0;
  int compared = 0;
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    const auto problem = random_problem(seed, seed % 10 == 0);
    const auto expected = run(*reference_engine(problem.rule), problem);
    const auto got = run(*fused_engine(problem.rule, Precision::float64), problem);
    INFO("seed " << seed << ", base model " << problem.architecture.description());
    CHECK(got.outcome == expected.outcome);
    if (expected.outcome != rule::Outcome::finished) continue;
    ++compared;
    const double phi = difference(got.phi, expected.phi);
    const double objective = difference(got.meta_objective, expected.meta_objective);
    const double gradient = difference(got.d_theta, expected.d_theta);
    CHECK(phi < 1e-9);
    CHECK(objective < 1e-9);
    CHECK(gradient < 1e-9);
    worst_phi = std::max(worst_phi, phi);
    worst_objective = std::max(worst_objective, objective);
    worst_gradient = std::max(worst_gradient, gradient);
  }
  std::printf("%d shapes: state %.1e, meta-objective %.1e, gradient %.1e\n", compared, worst_phi,
              worst_objective, worst_gradient);
  CHECK(compared > 100);
}

TEST_CASE(
    "every instruction set gives the reference's numbers, and its own bits whatever the memory budget") {
  for (const std::uint32_t seed : {3u, 10u, 20u, 31u}) {
    auto problem = random_problem(seed, true);
    problem.steps.resize(1);
    for (int t = 0; t < 4; ++t) problem.steps.push_back(problem.steps[0]);
    const auto expected = run(*reference_engine(problem.rule), problem);
    if (expected.outcome != rule::Outcome::finished) continue;
    for (const auto& set : rule::fused::available_instruction_sets()) {
      INFO("seed " << seed << ", " << set);
      const auto exact = run(*fused_engine(problem.rule, Precision::float64, set), problem);
      CHECK(difference(exact.d_theta, expected.d_theta) < 1e-9);
      CHECK(difference(exact.phi, expected.phi) < 1e-9);
      const auto kept = run(*fused_engine(problem.rule, Precision::float32, set), problem);
      const auto tight = run(*fused_engine(problem.rule, Precision::float32, set, 1), problem);
      CHECK(kept.d_theta == tight.d_theta);
      CHECK(kept.phi == tight.phi);
      CHECK(kept.meta_objective == tight.meta_objective);
      CHECK(difference(kept.phi, exact.phi) < 1e-3);
    }
  }
}

TEST_CASE("the memory budget is kept where one step's activations fit, and recomputing starts beyond it") {
  auto options = small_neuron_local();
  options.neuron_local.hidden_channels = options.neuron_local.top_channels = 16;
  options.neuron_local.delta_channels = 8;
  ProblemSize size;
  size.units = {64, 48, 16};
  size.batch = 32;
  size.steps = 40;
  const auto problem = make_problem(options, size);
  const auto arena = [&](std::int64_t budget_mib) {
    auto engine = cpu_engine();
    engine.memory_budget_mib = budget_mib;
    const auto fused = rule::fused::make_fused_engine(problem.rule, engine);
    const auto result = run(*fused, problem);
    CHECK(result.outcome == rule::Outcome::finished);
    return fused->arena_bytes();
  };
  const auto all = arena(1024);
  const auto tight = arena(32);
  CHECK(all > 64 << 20);
  CHECK(tight <= 32 << 20);
  CHECK(tight > 24 << 20);  // and uses what it may
}

TEST_CASE("minibatches of different sizes are refused in a truncation and fine in an unroll") {
  ProblemSize size;
  size.steps = 2;
  auto problem = make_problem(small_neuron_local(), size);
  size.batch = 9;
  const auto other = make_problem(small_neuron_local(), size);
  problem.steps[1].inner = other.steps[1].inner;
  const auto engine = fused_engine(problem.rule);
  CHECK_THROWS_AS(run(*engine, problem), Error);
  const std::vector<rule::Batch> batches = {problem.steps[0].inner, problem.steps[1].inner,
                                            problem.steps[0].inner};
  const auto got = engine->unroll(problem.architecture, problem.theta, problem.phi, batches);
  const auto expected =
      reference_engine(problem.rule)->unroll(problem.architecture, problem.theta, problem.phi, batches);
  CHECK(difference(got, expected) < 1e-9);
}

TEST_CASE("one engine serves architectures in turn, with the bits of an engine of its own") {
  std::vector<Problem> problems;
  for (const std::uint32_t seed : {1u, 2u, 3u}) {
    ProblemSize size;
    size.seed = seed;
    size.units = {7 + static_cast<std::int64_t>(seed), 5, 6, 4};
    size.batch = 4 + seed;
    problems.push_back(make_problem(small_neuron_local(), size));
  }
  const auto shared = fused_engine(problems[0].rule, Precision::float32);
  for (int round = 0; round < 2; ++round)
    for (const auto& problem : problems) {
      const auto got = run(*shared, problem);
      const auto alone = run(*fused_engine(problem.rule, Precision::float32), problem);
      CHECK(got.d_theta == alone.d_theta);
      CHECK(got.phi == alone.phi);
      // Evaluations in between have no effect.
      shared->meta_objective(problem.architecture, problem.theta, problem.phi, problem.steps[0]);
    }
}

TEST_CASE("after the first truncation inner steps allocate nothing") {
  const auto count = [](std::int64_t steps, std::int64_t budget_mib) {
    ProblemSize size;
    size.units = {40, 30, 20, 8};
    size.batch = 24;
    size.steps = steps;
    auto options = small_neuron_local();
    options.neuron_local.hidden_channels = 16;
    const auto problem = make_problem(options, size);
    const auto engine = fused_engine(problem.rule, Precision::float32, "auto", budget_mib);
    run(*engine, problem);
    return allocations_of([&] { run(*engine, problem); });
  };
  CHECK(count(30, 1024) == count(3, 1024));
  CHECK(count(30, 4) == count(3, 4));
}

TEST_CASE("a layer of 10,000 units is evaluated within 8 GB") {
  auto options = small_neuron_local();
  options.neuron_local.hidden_channels = options.neuron_local.top_channels = 16;
  ProblemSize size;
  size.units = {64, 10000, 16};
  size.batch = 8;
  size.steps = 1;
  const auto problem = make_problem(options, size);
  const auto engine = rule::fused::make_fused_engine(problem.rule, cpu_engine());
  const auto phi = engine->unroll(problem.architecture, problem.theta, problem.phi, {problem.steps[0].inner});
  CHECK(std::all_of(phi.begin(), phi.end(), [](double v) { return std::isfinite(v); }));
  CHECK(phi != problem.phi);
  // One matrix of 10,000 x 10,000 alone would be 400 MB.
  CHECK(engine->arena_bytes() < 300 << 20);
}

TEST_CASE("mixed: the state and objective of float32, a gradient along float64's, the same bits always") {
  if (!mixed_available()) return;
  double worst_cosine = 0, worst_norm = 0;
  int compared = 0;
  for (std::uint32_t seed = 10; seed <= 120; seed += 10) {
    const auto problem = random_problem(seed, true);
    INFO("seed " << seed);
    const auto plain = run(*fused_engine(problem.rule, Precision::float32), problem);
    const auto mixed = run(*fused_engine(problem.rule, Precision::mixed), problem);
    CHECK(mixed.outcome == plain.outcome);
    CHECK(mixed.phi == plain.phi);
    CHECK(mixed.meta_objective == plain.meta_objective);
    if (plain.outcome != rule::Outcome::finished) continue;
    CHECK(mixed.d_theta != plain.d_theta);
    const auto again = fused_engine(problem.rule, Precision::mixed, "auto", 1);
    CHECK(run(*again, problem).d_theta == mixed.d_theta);
    CHECK(run(*again, problem).d_theta == mixed.d_theta);
    const auto exact = run(*fused_engine(problem.rule, Precision::float64), problem);
    const auto [cosine, norm] = direction(mixed.d_theta, exact.d_theta);
    CHECK(cosine > 0.999);
    CHECK(std::abs(norm - 1) < 0.02);
    worst_cosine = std::max(worst_cosine, 1 - cosine);
    worst_norm = std::max(worst_norm, std::abs(norm - 1));
    ++compared;
  }
  CHECK(compared >= 6);
  std::printf("mixed against float64: %d problems, 1 - cosine %.1e, norm %.1e\n", compared, worst_cosine,
              worst_norm);
}

TEST_CASE("mixed is refused with one line that says what is missing") {
  const auto refusal = [](const rule::RuleOptions& rule, const std::string& set) -> std::string {
    try {
      const auto engine = fused_engine(rule, Precision::mixed, set);
      CHECK(engine->description().find("fused mixed cpu, 1 thread, avx512") == 0);
      return "";
    } catch (const InputError& error) {
      return error.what();
    }
  };
  CHECK(refusal(small_neuron_local(), "auto").empty() == mixed_available());
  for (const auto& set : rule::fused::available_instruction_sets()) {
    const auto said = refusal(small_neuron_local(), set);
    INFO(set << ": " << said);
    if (mixed_available() &&
        rule::fused::find_instruction_set(set) == rule::fused::find_instruction_set("avx512")) {
      CHECK(said.empty());
      continue;
    }
    CHECK(said.find("engine.precision: mixed needs ") == 0);
    CHECK(said.find(mixed_available() ? "engine.instruction_set: avx512" : "avx512_bf16") !=
          std::string::npos);
    CHECK(said.find('\n') == std::string::npos);
  }
  CHECK(refusal(supervised_sgd(), "auto").find("neuron_local") != std::string::npos);
}

}  // namespace outerloop::tests
