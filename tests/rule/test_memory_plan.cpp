// Memory planning: the number of lanes and steps that fit a budget.
#include "common/rule/reference/memory_plan.h"
#include "tests/catch.h"
#include "tests/rule/problem.h"

namespace outerloop::tests {
namespace {

using rule::reference::plan_memory;

/// The plan for the problems of test_lanes in float64.
rule::reference::MemoryPlan plan_of_lanes(std::int64_t mib, std::int64_t lanes, std::int64_t steps) {
  const auto problem = make_problem(small_neuron_local(), ProblemSize{});
  const auto step =
      rule::reference::step_bytes(problem.rule.neuron_local, problem.architecture, 5, 2 * 5 * 3, 8);
  return plan_memory(mib << 20, lanes, steps, step, 8 * static_cast<std::int64_t>(problem.phi.size()));
}

}  // namespace

TEST_CASE("lanes fit the budget with all of their steps, or one lane with some of them") {
  auto plan = plan_memory(0, 7, 5, 1000, 10);
  CHECK(plan.lanes == 7);
  CHECK(plan.kept_steps == 5);
  plan = plan_memory(7 * 5060, 7, 5, 1000, 10);
  CHECK(plan.lanes == 7);
  plan = plan_memory(7 * 5060 - 1, 7, 5, 1000, 10);
  CHECK(plan.lanes == 6);
  CHECK(plan.kept_steps == 5);
  plan = plan_memory(5059, 7, 5, 1000, 10);
  CHECK(plan.lanes == 1);
  CHECK(plan.kept_steps == 3);
  plan = plan_memory(1, 7, 5, 1000, 10);
  CHECK(plan.lanes == 1);
  CHECK(plan.kept_steps == 0);
}

TEST_CASE("the budgets of test_lanes leave parts of three, parts of one, and some steps") {
  CHECK(plan_of_lanes(2, 7, 2).lanes == 3);
  CHECK(plan_of_lanes(2, 7, 2).kept_steps == 2);
  CHECK(plan_of_lanes(1, 3, 3).lanes == 1);
  CHECK(plan_of_lanes(1, 3, 3).kept_steps == 3);
  CHECK(plan_of_lanes(1, 2, 14).lanes == 1);
  CHECK(plan_of_lanes(1, 2, 14).kept_steps > 0);
  CHECK(plan_of_lanes(1, 2, 14).kept_steps < 14);
}

TEST_CASE("a CPU computes as many lanes at once as keep a layer's hidden state within 2 MiB, at least one") {
  auto size = rule::paper_size();
  size.hidden_channels = 16;
  const rule::Architecture images{{196, 48, 48, 32}, rule::Nonlinearity::relu};
  const rule::Architecture tables{{10, 32, 32}, rule::Nonlinearity::relu};
  CHECK(rule::reference::lanes_in_cache(size, images, 64, 4) == 2);
  CHECK(rule::reference::lanes_in_cache(size, images, 64, 8) == 1);
  CHECK(rule::reference::lanes_in_cache(size, images, 640, 8) == 1);
  CHECK(rule::reference::lanes_in_cache(size, tables, 64, 4) == 16);
}

}  // namespace outerloop::tests
