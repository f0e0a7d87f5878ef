// engine.threads of the fused engine: the bits do not depend on it.
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/rule/fused/engine.h"
#include "common/rule/fused/instruction_set.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/rule/allocations.h"
#include "tests/rule/fused/mixed.h"
#include "tests/rule/fused/numbers.h"
#include "tests/rule/problem.h"
#include "tests/rule_options.h"

namespace outerloop::tests {
namespace {

using rule::Precision;

std::unique_ptr<rule::fused::FusedEngine> engine_with(const Problem& problem, int threads,
                                                      Precision precision,
                                                      std::int64_t memory_budget_mib = 1024,
                                                      const std::string& instruction_set = "auto") {
  auto options = cpu_engine(rule::EngineKind::fused, precision);
  options.threads = threads;
  options.memory_budget_mib = memory_budget_mib;
  options.instruction_set = instruction_set;
  return rule::fused::make_fused_engine(problem.rule, options);
}

/// All results of an engine.
struct Results {
  rule::TruncationResult truncation;
  std::vector<double> unrolled;
  double meta_objective = 0;
};

Results results(rule::Engine& engine, const Problem& p) {
  return {engine.truncation(p.architecture, p.theta, p.phi, p.steps),
          engine.unroll(p.architecture, p.theta, p.phi, {p.steps[0].inner, p.steps.back().inner}),
          engine.meta_objective(p.architecture, p.theta, p.phi, p.steps[0])};
}

void check_same(const Results& got, const Results& expected) {
  CHECK(got.truncation.outcome == expected.truncation.outcome);
  CHECK(same_bits(got.truncation.d_theta, expected.truncation.d_theta));
  CHECK(same_bits(got.truncation.phi, expected.truncation.phi));
  CHECK(same_bits(got.truncation.meta_objective, expected.truncation.meta_objective));
  CHECK(same_bits(got.unrolled, expected.unrolled));
  CHECK(same_bits(std::vector<double>{got.meta_objective}, std::vector<double>{expected.meta_objective}));
}

std::vector<Precision> precisions() {
  std::vector<Precision> all = {Precision::float32, Precision::float64};
  if (mixed_available()) all.push_back(Precision::mixed);
  return all;
}

/// Widths around the size of a block of lines, ones, and wide layers next to narrow ones.
Problem threads_problem(std::uint32_t seed) {
  const rule::Random random(seed, 5, 0, rule::Purpose::test);
  std::uint32_t e = 0;
  const auto from = [&](std::vector<std::int64_t> values) {
    return values[random.below(e++, values.size())];
  };
  auto options = small_neuron_local();
  auto& s = options.neuron_local;
  s.hidden_channels = from({1, 5, 16, 33});
  s.top_channels = from({1, 7, 16});
  s.delta_channels = from({1, 6, 14});
  s.readout_channels = from({1, 3, 4});
  s.hidden_blocks = from({0, 1});
  s.separate_backward_readouts = random.below(e++, 3) == 0;
  ProblemSize size;
  size.units = {from({1, 17, 64})};
  const auto layers = from({1, 2, 3});
  for (std::int64_t l = 0; l < layers; ++l) size.units.push_back(from({1, 15, 16, 17, 33, 70, 130}));
  size.units.back() = from({3, 17, 40});
  size.batch = from({2, 7, 16, 33});
  size.steps = from({1, 2, 3});
  size.seed = seed;
  return make_problem(options, size);
}

}  // namespace

TEST_CASE("the number of threads changes no bit: random shapes, every precision") {
  int finished = 0;
  for (std::uint32_t seed = 1; seed <= 24; ++seed) {
    const auto problem = threads_problem(seed);
    for (const auto precision : precisions()) {
      INFO("seed " << seed << ", precision " << static_cast<int>(precision) << ", base model "
                   << problem.architecture.description());
      const auto expected = results(*engine_with(problem, 1, precision), problem);
      if (expected.truncation.outcome == rule::Outcome::finished) ++finished;
      for (const int threads : {2, 3, 5}) {
        INFO(threads << " threads");
        const auto engine = engine_with(problem, threads, precision);
        check_same(results(*engine, problem), expected);
        check_same(results(*engine, problem), expected);
      }
    }
  }
  CHECK(finished > 24);
}

TEST_CASE("the number of threads changes no bit: more blocks than are summed at once, and little memory") {
  // 33 blocks of lines, the last of one line; widths for which S is factored.
  ProblemSize size;
  size.units = {20, 513, 9, 40};
  size.batch = 6;
  size.steps = 4;
  const auto problem = make_problem(small_neuron_local(), size);
  for (const auto precision : precisions()) {
    const auto expected = results(*engine_with(problem, 1, precision), problem);
    REQUIRE(expected.truncation.outcome == rule::Outcome::finished);
    check_same(results(*engine_with(problem, 2, precision, 1), problem), expected);
    check_same(results(*engine_with(problem, 3, precision), problem), expected);
  }
}

TEST_CASE("the number of threads changes no bit on any instruction set") {
  ProblemSize size;
  size.units = {30, 50, 35, 20};
  size.batch = 17;
  auto options = small_neuron_local();
  options.neuron_local.hidden_channels = 20;
  const auto problem = make_problem(options, size);
  for (const auto& set : rule::fused::available_instruction_sets()) {
    INFO(set);
    const auto expected = results(*engine_with(problem, 1, Precision::float32, 1024, set), problem);
    check_same(results(*engine_with(problem, 3, Precision::float32, 1024, set), problem), expected);
  }
}

TEST_CASE("supervised_sgd takes engine.threads, with the same bits") {
  ProblemSize size;
  size.units = {13, 40, 5};
  size.batch = 20;
  const auto problem = make_problem(supervised_sgd(), size);
  for (const auto precision : {Precision::float32, Precision::float64}) {
    const auto expected = results(*engine_with(problem, 1, precision), problem);
    for (const int threads : {2, 5})
      check_same(results(*engine_with(problem, threads, precision), problem), expected);
  }
}

TEST_CASE("an engine of several threads serves architectures in turn and says how many it has") {
  const auto first = threads_problem(3);
  ProblemSize size;
  size.units = {5, 90, 20, first.architecture.units.back()};
  size.batch = 19;
  const auto second = make_problem(first.rule, size);
  const auto engine = engine_with(first, 3, Precision::float32);
  CHECK(engine->description().find("fused float32 cpu, 3 threads, ") == 0);
  for (int round = 0; round < 2; ++round)
    for (const auto* problem : {&first, &second})
      check_same(results(*engine, *problem),
                 results(*engine_with(*problem, 1, Precision::float32), *problem));
}

TEST_CASE("after the first truncation inner steps allocate nothing on any thread") {
  const auto count = [](std::int64_t steps, std::int64_t budget_mib) {
    ProblemSize size;
    size.units = {20, 40, 35, 20};
    size.batch = 12;
    size.steps = steps;
    auto options = small_neuron_local();
    options.neuron_local.hidden_channels = 16;
    const auto problem = make_problem(options, size);
    const auto engine = engine_with(problem, 3, Precision::float32, budget_mib);
    const auto run = [&] {
      engine->truncation(problem.architecture, problem.theta, problem.phi, problem.steps);
    };
    run();
    return allocations_of(run);
  };
  CHECK(count(10, 1024) == count(3, 1024));
  CHECK(count(10, 1) == count(3, 1));
}

TEST_CASE("threads have scratch of their own in the arena") {
  const auto problem = threads_problem(3);
  const auto bytes = [&](int threads) {
    const auto engine = engine_with(problem, threads, Precision::float32);
    engine->truncation(problem.architecture, problem.theta, problem.phi, problem.steps);
    return engine->arena_bytes();
  };
  const std::int64_t one = bytes(1), two = bytes(2), five = bytes(5);
  CHECK(two > one);
  CHECK(five > two);
}

TEST_CASE("a number of threads out of range is refused") {
  const auto problem = make_problem(small_neuron_local(), {});
  CHECK_THROWS_AS(engine_with(problem, 0, Precision::float32), InputError);
  CHECK_THROWS_AS(engine_with(problem, 1025, Precision::float32), InputError);
}

}  // namespace outerloop::tests
