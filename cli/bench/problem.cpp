#include "cli/bench/problem.h"

#include <fmt/format.h>

#include <cstdio>

#include "common/base/error.h"
#include "common/base/standard_streams.h"
#include "common/rule/engines/make_engine.h"
#include "common/rule/random.h"

namespace outerloop::cli {
namespace {

constexpr std::int64_t kInputs = 196, kOutputs = 32;
constexpr std::int64_t kWay = 10, kLabelsPerClass = 10;
constexpr std::uint64_t kSeed = 1;

/// `task` distinguishes the minibatches.
rule::Batch random_batch(std::int64_t examples, std::int64_t inputs, std::int64_t way, std::uint64_t seed,
                         std::uint32_t task) {
  const rule::Random random(seed, 0, task, rule::Purpose::test);
  rule::Batch batch;
  batch.examples = examples;
  batch.inputs = inputs;
  batch.targets = way;
  for (std::int64_t i = 0; i < examples * inputs; ++i)
    batch.x.push_back(random.uniform(static_cast<std::uint32_t>(i)));
  for (std::int64_t i = 0; i < examples; ++i)
    for (std::int64_t c = 0; c < way; ++c) batch.y.push_back(i % way == c ? 1.0 : 0.0);
  return batch;
}

BenchProblem make_problem(const rule::RuleOptions& rule, const rule::Architecture& architecture,
                          std::int64_t batch, std::int64_t labelled, std::int64_t inner_steps) {
  BenchProblem problem;
  problem.theta = rule::initial_theta(rule::theta_layout(rule), kSeed);
  problem.phi = rule::initial_phi(rule::phi_layout(rule, architecture), kSeed, 0, 0);
  problem.steps = random_steps({architecture.inputs(), batch, false, labelled, kWay, inner_steps, kSeed});
  for (const auto& step : problem.steps) problem.minibatches.push_back(step.inner);
  return problem;
}

BenchSize make_size(const std::string& name, std::int64_t channels, std::int64_t delta, std::int64_t layers,
                    std::int64_t width, std::int64_t batch, std::int64_t inner_steps, double gflop) {
  BenchSize size;
  size.name = name;
  size.rule = {"neuron_local", rule::paper_size(), {}};
  auto& rule = size.rule.neuron_local;
  rule.hidden_channels = rule.top_channels = channels;
  rule.delta_channels = delta;
  rule.output_units = kOutputs;
  size.architecture.units = {kInputs};
  size.architecture.units.insert(size.architecture.units.end(), static_cast<std::size_t>(layers), width);
  size.architecture.units.push_back(kOutputs);
  size.batch = batch;
  size.inner_steps = inner_steps;
  size.gradient_gflop = gflop;
  return size;
}

}  // namespace

BenchSize bench_size(const std::string& name) {
  if (name == "laptop") return make_size(name, 16, 8, 2, 48, 64, 10, 1.07);
  if (name == "medium") return make_size(name, 32, 16, 3, 64, 64, 10, 3.94);
  if (name == "paper") return make_size(name, 64, 32, 4, 128, 128, 5, 48.1);
  throw InputError("bench: size '" + name + "' is unknown; there are laptop, medium and paper");
}

BenchProblem bench_problem(const BenchSize& size, std::int64_t inner_steps) {
  return make_problem(size.rule, size.architecture, size.batch, kWay * kLabelsPerClass, inner_steps);
}

std::vector<rule::StepData> random_steps(const RandomSteps& sizes) {
  std::vector<rule::StepData> steps;
  const std::int64_t inner_way = sizes.labelled_inner ? sizes.way : 0;
  for (std::int64_t t = 0; t < sizes.inner_steps; ++t) {
    const auto task = static_cast<std::uint32_t>(3 * t);
    steps.push_back({random_batch(sizes.batch, sizes.inputs, inner_way, sizes.seed, task),
                     random_batch(sizes.labelled, sizes.inputs, sizes.way, sizes.seed, task + 1),
                     random_batch(sizes.labelled, sizes.inputs, sizes.way, sizes.seed, task + 2)});
  }
  return steps;
}

std::string EngineName::kind_name() const { return kind == rule::EngineKind::fused ? "fused" : "reference"; }

std::string EngineName::precision_name() const {
  if (precision == rule::Precision::float64) return "float64";
  return precision == rule::Precision::mixed ? "mixed" : "float32";
}

EngineName parse_engine(const std::string& text) {
  for (const auto kind : {rule::EngineKind::fused, rule::EngineKind::reference})
    for (const auto precision :
         {rule::Precision::float32, rule::Precision::mixed, rule::Precision::float64}) {
      const EngineName name{kind, precision};
      if (text == name.text() || (text == name.kind_name() && precision == rule::Precision::float32))
        return name;
    }
  throw InputError("bench: engine '" + text +
                   "' is unknown; give fused or reference, with :float32, :mixed (fused only) or :float64");
}

std::unique_ptr<rule::Engine> open_engine(const EngineName& name, const rule::RuleOptions& rule,
                                          rule::EngineOptions options) {
  options.kind = name.kind;
  options.precision = name.precision;
  if (name.kind == rule::EngineKind::reference) options.instruction_set = "auto";  // its only value
  return rule::make_engine(rule, options);
}

std::vector<EngineName> choose_engines(const std::vector<std::string>& names,
                                       const rule::EngineOptions& options) {
  const auto smallest = bench_size("laptop").rule;
  std::vector<EngineName> engines;
  for (const auto& name : names) {
    engines.push_back(parse_engine(name));
    open_engine(engines.back(), smallest, options);
  }
  if (!names.empty()) return engines;
  std::string reasons;
  for (const char* name : {"fused:float32", "fused:mixed", "reference:float32"}) try {
      open_engine(parse_engine(name), smallest, options);
      engines.push_back(parse_engine(name));
    } catch (const InputError& error) {
      const std::string reason = fmt::format("{} left out: {}", name, error.what());
      base::print_remark(reason);
      reasons += (reasons.empty() ? "" : "; ") + reason;
    }
  if (engines.empty()) throw InputError("bench: no engine can be made here: " + reasons);
  return engines;
}

void warm_up(rule::Engine& engine) {
  const rule::Architecture small{{4, 3, kOutputs}, rule::Nonlinearity::relu};
  const auto problem = make_problem(engine.rule(), small, 2, kWay, 1);
  engine.truncation(small, problem.theta, problem.phi, problem.steps);
}

}  // namespace outerloop::cli
