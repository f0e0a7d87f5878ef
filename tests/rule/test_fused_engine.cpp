// The fused engine against the reference engine, through the interface that both have.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "common/rule/error.h"
#include "common/rule/fused/instruction_set.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/rule/problem.h"

namespace outerloop::tests {
namespace {

using rule::Precision;

std::unique_ptr<rule::Engine> fused_engine(const rule::RuleOptions& rule, Precision precision,
                                           const std::string& set = "auto", std::int64_t budget_mib = 1024) {
  rule::EngineOptions options;
  options.kind = rule::EngineKind::fused;
  options.precision = precision;
  options.instruction_set = set;
  options.memory_budget_mib = budget_mib;
  return rule::make_engine(rule, options);
}

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

rule::TruncationResult run(rule::Engine& engine, const Problem& p) {
  return engine.truncation(p.architecture, p.theta, p.phi, p.steps);
}

/// A problem of random sizes, ones and odd numbers among them.
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

}  // namespace outerloop::tests
