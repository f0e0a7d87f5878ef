// Several lanes in one engine call against one call per lane: objectives, gradients, φ, outcomes.
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

using rule::TruncationLane;
using rule::TruncationResult;

std::unique_ptr<rule::Engine> engine_with_budget(const rule::RuleOptions& rule, std::int64_t budget_mib) {
  auto options = cpu_engine(kEngineUnderTest, rule::Precision::float64);
  options.memory_budget_mib = budget_mib;
  return rule::make_engine(rule, options);
}

/// Tasks of one architecture, each with its own φ, data, classes and labelled examples.
std::vector<Problem> make_lanes(const rule::RuleOptions& rule, ProblemSize size, std::size_t count) {
  std::vector<Problem> problems;
  for (std::size_t s = 0; s < count; ++s) {
    size.seed = 1 + s;
    size.way = 3 + static_cast<std::int64_t>(s % 3);
    size.per_class = 2 + static_cast<std::int64_t>(s % 2);
    size.regression = static_cast<std::int64_t>(s % 4 == 3 ? 2 : 0);
    problems.push_back(make_problem(rule, size));
    problems.back().theta = problems.front().theta;
  }
  return problems;
}

std::vector<TruncationLane> as_lanes(const std::vector<Problem>& problems) {
  std::vector<TruncationLane> lanes;
  for (const auto& problem : problems) lanes.push_back({problem.phi, problem.steps});
  return lanes;
}

TruncationResult alone(rule::Engine& engine, const Problem& problem) {
  return engine.truncation(problem.architecture, problem.theta, problem.phi, problem.steps);
}

/// max |a - b| / max |b|; infinite if the sizes differ.
double difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double worst = 0.0, largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(b[i]));
  }
  return largest > 0.0 ? worst / largest : worst;
}

void check_equal(const TruncationResult& ours, const TruncationResult& theirs, double bound = 1e-10) {
  CHECK(ours.outcome == theirs.outcome);
  CHECK(difference(ours.meta_objective, theirs.meta_objective) < bound);
  CHECK(std::abs(ours.mean_meta_objective - theirs.mean_meta_objective) < bound);
  CHECK(difference(ours.phi, theirs.phi) < bound);
  CHECK(difference(ours.d_theta, theirs.d_theta) < bound);
}

void check_lanes(const std::string& name, const std::vector<Problem>& problems, std::int64_t budget_mib) {
  const auto& first = problems.front();
  const auto single = engine_with_budget(first.rule, 0), several = engine_with_budget(first.rule, budget_mib);
  const auto results = several->truncations(first.architecture, first.theta, as_lanes(problems));
  REQUIRE(results.size() == problems.size());
  for (std::size_t s = 0; s < problems.size(); ++s) {
    INFO(name << ", lane " << s + 1 << " of " << problems.size() << ", " << budget_mib << " MiB");
    CHECK(results[s].outcome == rule::Outcome::finished);
    check_equal(results[s], alone(*single, problems[s]));
  }
}

}  // namespace

TEST_CASE("several lanes in one call equal one call for each") {
  for (const std::size_t count : {1, 2, 7}) {
    check_lanes("neuron_local", make_lanes(small_neuron_local(), ProblemSize{}, count), 0);
    auto options = small_neuron_local();
    options.neuron_local.separate_backward_readouts = true;
    check_lanes("separate backward readouts", make_lanes(options, ProblemSize{}, count), 0);
    ProblemSize size;
    size.units = {7, 6, 5};
    check_lanes("supervised_sgd", make_lanes(supervised_sgd(), size, count), 0);
  }
}

TEST_CASE("several lanes on a device equal one call for each, there and on the CPU", "[.gpu]") {
  if (kEngineUnderTest == rule::EngineKind::fused) return;  // which computes on the CPU only
  for (const std::size_t count : {1, 2, 7, 16})
    for (const auto& rule : {small_neuron_local(), supervised_sgd()}) {
      ProblemSize size;
      if (rule.name == "supervised_sgd") size.units = {7, 6, 7};
      const auto problems = make_lanes(rule, size, count);
      const auto& first = problems.front();
      const auto device = engine_on_device(first.rule), here = engine_with_budget(first.rule, 0);
      const auto results = device->truncations(first.architecture, first.theta, as_lanes(problems));
      REQUIRE(results.size() == count);
      for (std::size_t s = 0; s < count; ++s) {
        INFO(rule.name << ", lane " << s + 1 << " of " << count);
        CHECK(results[s].outcome == rule::Outcome::finished);
        check_equal(results[s], alone(*device, problems[s]), 1e-8);
        check_equal(results[s], alone(*here, problems[s]), 1e-6);
      }
    }
}

// test_memory_plan shows how many lanes and steps fit these budgets.
TEST_CASE("lanes beyond the memory budget run in parts, and steps are computed again") {
  ProblemSize size;
  check_lanes("parts of three", make_lanes(small_neuron_local(), size, 7), 2);
  size.steps = 3;
  check_lanes("parts of one", make_lanes(small_neuron_local(), size, 3), 1);
  size.steps = 14;
  const auto problems = make_lanes(small_neuron_local(), size, 2);
  check_lanes("steps computed again", problems, 1);
  const auto kept = alone(*engine_with_budget(problems[1].rule, 0), problems[1]);
  const auto again = alone(*engine_with_budget(problems[1].rule, 1), problems[1]);
  CHECK(again.d_theta == kept.d_theta);
  CHECK(again.phi == kept.phi);
  CHECK(again.meta_objective == kept.meta_objective);
}

TEST_CASE("a lane with dead features or numbers that are not finite changes no other lane") {
  auto problems = make_lanes(small_neuron_local(), ProblemSize{}, 4);
  const auto layout = rule::phi_layout(problems[1].rule, problems[1].architecture);
  const auto& bias = layout.at("3/b");
  std::fill_n(problems[1].phi.begin() + bias.offset, bias.size(), -1e4);
  problems[2].phi.front() = std::numeric_limits<double>::quiet_NaN();
  const auto engine = engine_with_budget(problems[0].rule, 0);
  const auto results = engine->truncations(problems[0].architecture, problems[0].theta, as_lanes(problems));
  REQUIRE(results.size() == 4);
  CHECK(results[1].outcome == rule::Outcome::dead_features);
  CHECK(results[1].meta_objective.empty());
  CHECK(results[1].phi.empty());
  CHECK(results[2].outcome == rule::Outcome::not_finite);
  CHECK(results[2].d_theta.empty());
  for (const std::size_t s : {0, 3}) {
    CHECK(results[s].outcome == rule::Outcome::finished);
    check_equal(results[s], alone(*engine, problems[s]));
  }
}

TEST_CASE("unrolls and meta-objectives of several lanes equal those of each") {
  const auto problems = make_lanes(small_neuron_local(), ProblemSize{}, 3);
  const auto& first = problems.front();
  const auto engine = engine_with_budget(first.rule, 0);
  std::vector<std::vector<rule::Batch>> minibatches;
  for (const auto& problem : problems) minibatches.push_back(inner_batches(problem));
  std::vector<rule::UnrollLane> unrolls;
  std::vector<rule::ObjectiveLane> objectives;
  for (std::size_t s = 0; s < problems.size(); ++s) {
    unrolls.push_back({problems[s].phi, minibatches[s]});
    objectives.push_back({problems[s].phi, problems[s].steps.front()});
  }
  const auto phi = engine->unrolls(first.architecture, first.theta, unrolls);
  const auto J = engine->meta_objectives(first.architecture, first.theta, objectives);
  REQUIRE(phi.size() == problems.size());
  REQUIRE(J.size() == problems.size());
  for (std::size_t s = 0; s < problems.size(); ++s) {
    const auto& p = problems[s];
    CHECK(difference(phi[s], engine->unroll(p.architecture, p.theta, p.phi, minibatches[s])) < 1e-10);
    CHECK(std::abs(J[s] - engine->meta_objective(p.architecture, p.theta, p.phi, p.steps.front())) < 1e-10);
  }
  CHECK(engine->truncations(first.architecture, first.theta, {}).empty());
  CHECK(engine->unrolls(first.architecture, first.theta, {}).empty());
  CHECK(engine->meta_objectives(first.architecture, first.theta, {}).empty());
}

TEST_CASE("unrolls of lanes beyond the memory budget run in parts") {
  const auto problem = make_problem(small_neuron_local(), ProblemSize{});
  const auto minibatches = inner_batches(problem);
  const std::vector<rule::UnrollLane> lanes(7, {problem.phi, minibatches});
  const auto engine = engine_with_budget(problem.rule, 1);
  std::size_t steps = 0;
  engine->set_after_step([&] { ++steps; });
  const auto phi = engine->unrolls(problem.architecture, problem.theta, lanes);
  CHECK(steps > minibatches.size());  // each part has its own steps
  const auto alone = engine->unroll(problem.architecture, problem.theta, problem.phi, minibatches);
  REQUIRE(phi.size() == lanes.size());
  for (const auto& of_lane : phi) CHECK(difference(of_lane, alone) < 1e-10);
}

TEST_CASE("lanes that do not fit one another are errors, not crashes") {
  if (kEngineUnderTest == rule::EngineKind::fused) return;  // which computes them one after another
  auto problems = make_lanes(small_neuron_local(), ProblemSize{}, 2);
  const auto engine = engine_with_budget(problems[0].rule, 0);
  const auto refused = [&] {
    CHECK_THROWS_AS(engine->truncations(problems[0].architecture, problems[0].theta, as_lanes(problems)),
                    Error);
  };
  problems[1].steps.pop_back();
  refused();
  ProblemSize larger;
  larger.batch = 8;
  problems[1] = make_lanes(small_neuron_local(), larger, 2)[1];
  refused();
  problems[1] = problems[0];
  problems[1].phi.pop_back();
  refused();
}

}  // namespace outerloop::tests
