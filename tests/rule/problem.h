#pragma once
// Small random meta-learning problems for tests of engines.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/rule/engine.h"
#include "common/rule/gradient_check.h"

namespace outerloop::tests {

struct Problem : rule::GradientProblem {
  rule::RuleOptions rule;
};

/// The sizes to draw.
struct ProblemSize {
  std::vector<std::int64_t> units = {7, 5, 6, 4};
  std::int64_t batch = 5;
  std::int64_t way = 3;         ///< classes
  std::int64_t per_class = 3;   ///< labelled examples per class in each of the two minibatches
  std::int64_t regression = 0;  ///< additional columns of y
  std::int64_t steps = 2;
  std::uint64_t seed = 1;
};

/// Small sizes of the neuron-local rule, odd and all different.
rule::RuleOptions small_neuron_local();
rule::RuleOptions supervised_sgd();

/// θ and φ are random and nowhere zero (offsets and biases included); output_units follows the architecture.
Problem make_problem(rule::RuleOptions rule, const ProblemSize& size);

/// The minibatches of the problem's inner steps.
std::vector<rule::Batch> inner_batches(const Problem& problem);

/// The reference engine on the CPU with one thread.
std::unique_ptr<rule::Engine> reference_engine(const rule::RuleOptions& rule,
                                               rule::Precision precision = rule::Precision::float64);

std::unique_ptr<rule::Engine> fused_engine(const rule::RuleOptions& rule,
                                           rule::Precision precision = rule::Precision::float64,
                                           const std::string& instruction_set = "auto",
                                           std::int64_t memory_budget_mib = 1024);

/// Tests of the common contract of all engines are built once per engine: this is the engine under test.
#ifdef OUTERLOOP_TEST_FUSED
inline constexpr auto kEngineUnderTest = rule::EngineKind::fused;
#else
inline constexpr auto kEngineUnderTest = rule::EngineKind::reference;
#endif
inline std::unique_ptr<rule::Engine> engine_under_test(const rule::RuleOptions& rule,
                                                       rule::Precision precision = rule::Precision::float64) {
  return kEngineUnderTest == rule::EngineKind::fused ? fused_engine(rule, precision)
                                                     : reference_engine(rule, precision);
}

/// An engine on the device under test (rule_options.h); ends the executable as skipped where it is not there.
std::unique_ptr<rule::Engine> engine_on_device(const rule::RuleOptions& rule,
                                               rule::Precision precision = rule::Precision::float64);

}  // namespace outerloop::tests
