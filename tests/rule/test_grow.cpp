// A grown rule: what stays as it was, and what cannot grow.
#include <algorithm>
#include <cmath>

#include "common/rule/grow.h"
#include "common/rule/theta.h"
#include "tests/catch.h"
#include "tests/rule/problem.h"

namespace outerloop::tests {
namespace {

/// θ of `problem`, grown to `larger`; empty where that is refused.
std::optional<std::vector<double>> grown(const Problem& problem, const rule::RuleOptions& larger) {
  const auto layout = rule::theta_layout(larger);
  return rule::grow_theta(rule::theta_layout(problem.rule), problem.theta, layout,
                          rule::initial_theta(layout, 5));
}

/// φ after the problem's inner steps.
std::vector<double> trained(const Problem& problem, const rule::RuleOptions& options,
                            const std::vector<double>& theta) {
  return fused_engine(options)->unroll(problem.architecture, theta, problem.phi, inner_batches(problem));
}

double value(const rule::Layout& layout, const std::vector<double>& theta, const std::string& name,
             std::int64_t element) {
  return theta.at(static_cast<std::size_t>(layout.at(name).offset + element));
}

}  // namespace

TEST_CASE("a rule with more channels trains base models as the smaller one did") {
  const auto problem = make_problem(small_neuron_local(), {});
  CHECK(grown(problem, problem.rule) == problem.theta);

  auto larger = problem.rule;
  larger.neuron_local.hidden_channels = 9;
  const auto theta = grown(problem, larger);
  REQUIRE(theta);
  const auto before = trained(problem, problem.rule, problem.theta);
  const auto after = trained(problem, larger, *theta);
  REQUIRE(after.size() == before.size());
  double moved = 0, difference = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    moved = std::max(moved, std::abs(before[i] - problem.phi[i]));
    difference = std::max(difference, std::abs(before[i] - after[i]));
  }
  CHECK(moved > 1e-2);
  CHECK(difference < 1e-12);

  // The new channels compute something, or they would never get a gradient.
  const auto layout = rule::theta_layout(larger);
  CHECK(value(layout, *theta, "hidden.in.w", 8) != 0.0);
  const auto engine = fused_engine(larger);
  const auto result = engine->truncation(problem.architecture, *theta, problem.phi, problem.steps);
  REQUIRE(result.outcome == rule::Outcome::finished);
  CHECK(value(layout, result.d_theta, "delta.w", 8 * 3) != 0.0);
}

TEST_CASE("more output units come in blocks that mix among themselves") {
  const auto problem = make_problem(small_neuron_local(), {});
  const auto units = problem.rule.neuron_local.output_units;
  auto larger = problem.rule;
  larger.neuron_local.output_units = 3 * units;
  const auto theta = grown(problem, larger);
  REQUIRE(theta);
  const auto from = rule::theta_layout(problem.rule), to = rule::theta_layout(larger);
  for (std::int64_t kernel = 0; kernel < 3; ++kernel)
    for (std::int64_t in = 0; in < 3 * units; ++in)
      for (std::int64_t out = 0; out < 3 * units; ++out) {
        const double weight = value(to, *theta, "top.mix.1.w", (kernel * 3 * units + in) * 3 * units + out);
        CHECK(weight == (in / units != out / units
                             ? 0.0
                             : value(from, problem.theta, "top.mix.1.w",
                                     (kernel * units + in % units) * units + out % units)));
      }
  for (std::int64_t unit = 0; unit < 3 * units; ++unit)
    CHECK(value(to, *theta, "top.mix.0.beta", unit) ==
          value(from, problem.theta, "top.mix.0.beta", unit % units));
  CHECK(value(to, *theta, "delta.w", 7) == value(from, problem.theta, "delta.w", 7));
}

TEST_CASE("what would change a trained rule is refused") {
  const auto problem = make_problem(small_neuron_local(), {});
  const auto refused = [&](auto change) {
    auto other = problem.rule;
    change(other.neuron_local);
    return !grown(problem, other);
  };
  CHECK(refused([](auto& size) { --size.hidden_channels; }));
  CHECK(refused([](auto& size) { ++size.top_channels; }));
  CHECK(refused([](auto& size) { ++size.delta_channels; }));
  CHECK(refused([](auto& size) { ++size.readout_channels; }));
  CHECK(refused([](auto& size) { ++size.hidden_blocks; }));
  CHECK(refused([](auto& size) { --size.top_layers; }));
  CHECK(refused([](auto& size) { size.output_units = 2 * size.output_units - 1; }));
  CHECK(refused([](auto& size) { size.separate_backward_readouts = true; }));

  const auto layout = rule::theta_layout(problem.rule);
  const auto& tensors = layout.tensors();
  const rule::Layout other_order(std::vector<rule::TensorSpec>(tensors.rbegin(), tensors.rend()));
  CHECK_FALSE(rule::grow_theta(layout, problem.theta, other_order, problem.theta));
}

}  // namespace outerloop::tests
