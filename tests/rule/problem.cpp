#include "tests/rule/problem.h"

#include "common/base/error.h"
#include "common/rule/engines/make_engine.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/rule_options.h"

namespace outerloop::tests {
namespace {

using rule::Purpose;
using rule::Random;

/// Inputs in [0, 1), classes in turn; every minibatch of a problem has a different `task`.
rule::Batch make_batch(const ProblemSize& size, std::uint32_t task, std::int64_t examples) {
  const Random random(size.seed, 1, task, Purpose::test);
  rule::Batch batch;
  batch.examples = examples;
  batch.inputs = size.units.front();
  batch.targets = size.way + size.regression;
  std::uint32_t element = 0;
  for (std::int64_t i = 0; i < examples * batch.inputs; ++i) batch.x.push_back(random.uniform(element++));
  for (std::int64_t i = 0; i < examples; ++i) {
    for (std::int64_t c = 0; c < size.way; ++c) batch.y.push_back(i % size.way == c ? 1.0 : 0.0);
    for (std::int64_t r = 0; r < size.regression; ++r) batch.y.push_back(random.normal(element++));
  }
  return batch;
}

}  // namespace

rule::RuleOptions small_neuron_local() {
  auto options = paper_rule();
  auto& size = options.neuron_local;
  size.hidden_channels = 6;
  size.top_channels = 5;
  size.delta_channels = 3;
  size.readout_channels = 2;
  size.inner_step_size = 0.1;
  return options;
}

rule::RuleOptions supervised_sgd() {
  auto options = paper_rule("supervised_sgd");
  options.supervised_sgd.initial_learning_rate = 0.05;
  return options;
}

Problem make_problem(rule::RuleOptions options, const ProblemSize& size) {
  Problem problem;
  problem.architecture.units = size.units;
  options.neuron_local.output_units = size.units.back();
  problem.rule = options;
  const auto layout = rule::theta_layout(options);
  problem.theta = rule::initial_theta(layout, size.seed);
  problem.phi = rule::initial_phi(rule::phi_layout(options, problem.architecture), size.seed, 0, 0);
  if (options.name == "neuron_local") {
    const Random noise(size.seed, 2, 0, Purpose::test);
    for (std::size_t i = 0; i < problem.theta.size(); ++i)
      problem.theta[i] += 0.1 * noise.normal(static_cast<std::uint32_t>(i));
    for (std::size_t i = 0; i < problem.phi.size(); ++i)
      problem.phi[i] += 0.3 * noise.normal(static_cast<std::uint32_t>(i), 1);
  }
  const std::int64_t labelled = size.way * size.per_class;
  for (std::uint32_t t = 0; t < size.steps; ++t)
    problem.steps.push_back({make_batch(size, 3 * t, size.batch), make_batch(size, 3 * t + 1, labelled),
                             make_batch(size, 3 * t + 2, labelled)});
  return problem;
}

std::vector<rule::Batch> inner_batches(const Problem& problem) {
  std::vector<rule::Batch> batches;
  for (const auto& step : problem.steps) batches.push_back(step.inner);
  return batches;
}

std::unique_ptr<rule::Engine> reference_engine(const rule::RuleOptions& options, rule::Precision precision) {
  return rule::make_engine(options, cpu_engine(rule::EngineKind::reference, precision));
}

std::unique_ptr<rule::Engine> fused_engine(const rule::RuleOptions& options, rule::Precision precision,
                                           const std::string& instruction_set,
                                           std::int64_t memory_budget_mib) {
  auto engine = cpu_engine(rule::EngineKind::fused, precision);
  engine.instruction_set = instruction_set;
  engine.memory_budget_mib = memory_budget_mib;
  return rule::make_engine(options, engine);
}

std::unique_ptr<rule::Engine> engine_on_device(const rule::RuleOptions& options, rule::Precision precision) {
  try {
    return rule::make_engine(options, device_engine(precision));
  } catch (const InputError& error) {
    if (std::string(error.what()).find("device: ") == std::string::npos) throw;
    skip(error.what());
  }
}

}  // namespace outerloop::tests
