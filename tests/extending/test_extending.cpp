// The rule and the dataset of docs/extending.md, in tables that its edits were applied to.
#include <cmath>
#include <set>

#include "common/base/error.h"
#include "common/data/dataset.h"
#include "common/data/gratings.h"
#include "common/rule/random.h"
#include "common/rule/rules.h"
#include "tests/catch.h"
#include "tests/rule/problem.h"
#include "tests/rule_options.h"

namespace outerloop::tests {
namespace {

rule::RuleOptions oja() { return paper_rule("oja"); }

/// Three layers; coefficients that are nowhere zero.
Problem oja_problem() {
  auto problem = make_problem(oja(), ProblemSize{});
  problem.theta = {std::log(0.1), 0.9, -0.7, -0.2, 0.3};
  return problem;
}

TEST_CASE("the rule's gradient by central differences") {
  const auto problem = oja_problem();
  const auto engine = fused_engine(problem.rule);
  const rule::DifferenceOptions options;
  const auto check = rule::check_gradient(*engine, problem, options);
  REQUIRE(check.outcome == rule::Outcome::finished);
  CHECK(check.forward_objective == Approx(check.objective).epsilon(1e-12));
  REQUIRE(check.tensors.size() == problem.theta.size());
  for (const auto& tensor : check.tensors) {
    INFO(tensor.tensor);
    CHECK(std::abs(tensor.analytic) > 1e-6);
    CHECK(tensor.difference < options.tolerance);
  }
}

/// The same W and b, with a V that the meta-objective does not look at.
std::vector<double> with_v(const Problem& problem, const rule::RuleOptions& neuron_local) {
  const auto from = rule::phi_layout(problem.rule, problem.architecture);
  const auto to = rule::phi_layout(neuron_local, problem.architecture);
  std::vector<double> phi(static_cast<std::size_t>(to.size()), 0.5);
  for (const auto& tensor : from.tensors())
    for (std::int64_t i = 0; i < tensor.size(); ++i)
      phi[static_cast<std::size_t>(to.at(tensor.name).offset + i)] =
          problem.phi[static_cast<std::size_t>(tensor.offset + i)];
  return phi;
}

TEST_CASE("the rule's meta-objective is that of neuron_local") {
  const auto problem = oja_problem();
  const auto other = make_problem(small_neuron_local(), ProblemSize{});
  const double expected =
      fused_engine(other.rule)
          ->meta_objective(problem.architecture, other.theta, with_v(problem, other.rule), problem.steps[0]);
  CHECK(fused_engine(problem.rule)
            ->meta_objective(problem.architecture, problem.theta, problem.phi, problem.steps[0]) ==
        Approx(expected).epsilon(1e-9));
}

TEST_CASE("Oja's rule finds the direction of most variance") {
  // Two inputs that go together with one that is noise; one linear unit above them is what Oja looked at.
  auto problem = oja_problem();
  REQUIRE(rule::rule_kind("oja").supervised == false);
  problem.theta = {std::log(0.05), 1.0, -1.0, 0.0, 0.0};
  problem.architecture.units = {3, 1};
  problem.rule.neuron_local.output_units = 1;
  std::vector<rule::Batch> minibatches;
  for (std::uint32_t step = 0; step < 200; ++step) {
    const rule::Random random(7, 0, step, rule::Purpose::test);
    rule::Batch batch;
    batch.examples = 32;
    batch.inputs = 3;
    for (std::uint32_t e = 0; e < 32; ++e) {
      const double shared = random.normal(2 * e), noise = 0.3 * random.normal(2 * e + 1);
      for (const double x : {shared, shared, noise}) batch.x.push_back(x);
    }
    minibatches.push_back(batch);
  }
  const auto phi = fused_engine(problem.rule)
                       ->unroll(problem.architecture, problem.theta, {0.4, -0.1, 0.4, 0.0}, minibatches);
  CHECK(std::abs(phi[0] - phi[1]) < 0.25 * std::abs(phi[0]));
  CHECK(std::abs(phi[2]) < 0.3 * std::abs(phi[0]));
}

TEST_CASE("an unknown rule is refused by a list of those that there are") {
  std::string said;
  try {
    rule::rule_kind("hebb");
  } catch (const InputError& error) {
    said = error.what();
  }
  CHECK(said.find("'hebb'; there are neuron_local, supervised_sgd, torchscript, oja") != std::string::npos);
}

TEST_CASE("other non-linearities are refused") {
  auto problem = oja_problem();
  problem.architecture.nonlinearity = rule::Nonlinearity::tanh;
  CHECK_THROWS(fused_engine(problem.rule)
                   ->unroll(problem.architecture, problem.theta, problem.phi, std::vector<rule::Batch>()));
}

TEST_CASE("gratings are a dataset like the others") {
  const auto gratings = data::open_dataset({"gratings", "", 14, {}, {}}, "");
  CHECK(gratings->size == 14);
  CHECK(gratings->classes() == data::kGratingDirections);
  REQUIRE(gratings->examples() == data::kGratingDirections * data::kGratingsPerDirection);
  CHECK(gratings->sha256 == data::open_dataset({"gratings", "", 14, {}, {}}, "")->sha256);
  const auto held_out = data::open_dataset({"gratings", "", 14, data::ClassSplit::held_out, {}}, "");
  CHECK(held_out->classes() >= 3);  // enough for a task
  CHECK(held_out->classes() < gratings->classes());
  CHECK_THROWS(data::open_dataset({"gratings", "/somewhere", 14, {}, {}}, ""));
}

TEST_CASE("a grating is constant along its waves") {
  const auto set = data::make_gratings();
  // Class 0 runs along the columns: down a column nothing changes but the noise.
  std::set<int> column;
  for (std::size_t row = 0; row < 28; ++row) column.insert(set.pixels[row * 28 + 5]);
  CHECK(*column.rbegin() - *column.begin() < 90);
  std::set<int> across;
  for (std::size_t i = 0; i < 28; ++i) across.insert(set.pixels[5 * 28 + i]);
  CHECK(*across.rbegin() - *across.begin() > 90);
}

}  // namespace
}  // namespace outerloop::tests
