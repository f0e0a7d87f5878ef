// outerloop bench gradient: an engine's meta-gradient against central differences, on a small random problem.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/bench/benchmarks.h"
#include "cli/bench/problem.h"
#include "cli/support/output_files.h"
#include "cli/support/rule_module.h"
#include "common/base/error.h"
#include "common/config/settings.h"
#include "common/rule/engines/make_engine.h"
#include "common/rule/gradient_check.h"
#include "common/rule/random.h"
#include "common/rule/rules.h"
#include "common/store/atomic_file.h"
#include "common/store/files.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

constexpr std::int64_t kInputs = 7, kBatch = 8, kWay = 3, kLabelled = 9;

struct CheckedRule {
  config::Settings settings;
  std::vector<double> theta;
};

CheckedRule read_checked(const BenchGradientOptions& options) {
  const std::filesystem::path path = options.rule;
  CheckedRule rule;
  if (path.extension() == ".h5" || path.filename() == "latest") {
    auto file = store::read_rule(options.rule);
    rule.settings = config::settings_from_text(file.config, options.rule + ": /config", options.overrides);
    set_module(rule.settings, file, options.rule);
    rule.theta = file.theta;
  } else {
    rule.settings = config::read_settings(options.rule, options.overrides);
    read_module(rule.settings);
    rule.theta = rule::initial_theta(rule.settings.rule, rule.settings.config.seed());
  }
  return rule;
}

/// Small enough for hundreds of forward passes a second; supervised base models have one class that never
/// occurs, as those of tasks with few classes.
rule::GradientProblem make_problem(rule::Engine& engine, std::vector<double> theta,
                                   const BenchGradientOptions& options) {
  const bool supervised = rule::supervised(engine.rule());
  rule::GradientProblem problem;
  problem.theta = std::move(theta);
  const rule::Random noise(options.seed, 1, 0, rule::Purpose::test);
  for (std::size_t i = 0; i < problem.theta.size(); ++i)
    problem.theta[i] += options.noise * noise.normal(static_cast<std::uint32_t>(i));
  auto& units = problem.architecture.units;
  units = {kInputs};
  units.insert(units.end(), options.layers.begin(), options.layers.end());
  units.push_back(supervised ? kWay + 1 : engine.rule().neuron_local.output_units);
  problem.phi = engine.initial_phi(problem.architecture, options.seed, 0, 0);
  problem.steps =
      random_steps({kInputs, kBatch, supervised, kLabelled, kWay, options.inner_steps, options.seed});
  return problem;
}

void print(const rule::GradientCheck& check) {
  std::size_t width = 0;
  for (const auto& tensor : check.tensors) width = std::max(width, tensor.tensor.size());
  fmt::print("{:<{}}  {:>8}{:>15}{:>15}{:>13}\n", "parameter", std::max(width, std::size_t{9}), "at",
             "analytic", "numeric", "difference");
  for (const auto& tensor : check.tensors)
    fmt::print("{:<{}}  {:>8}{:>15.6e}{:>15.6e}{:>13.1e}\n", tensor.tensor, std::max(width, std::size_t{9}),
               tensor.place, tensor.analytic, tensor.numeric, tensor.difference);
}

json to_json(const rule::GradientCheck& check) {
  json rows = json::array();
  for (const auto& tensor : check.tensors)
    rows.push_back({{"parameter", tensor.tensor},
                    {"at", tensor.place},
                    {"analytic", tensor.analytic},
                    {"numeric", tensor.numeric},
                    {"difference", tensor.difference}});
  return rows;
}

/// Throws Error unless all agree.
void judge(const rule::GradientCheck& check, double tolerance) {
  if (!(std::abs(check.objective - check.forward_objective) <= tolerance * std::abs(check.objective)))
    throw Error(
        fmt::format("bench gradient: truncation() returns the meta-objective {:.9g}, unroll() and "
                    "meta_objective() together {:.9g}: they compute different rules",
                    check.objective, check.forward_objective));
  if (check.largest == 0.0)
    throw Error("bench gradient: every gradient is 0: the meta-objective does not depend on θ");
  const auto& worst = check.worst();
  if (!(worst.difference <= tolerance))
    throw Error(
        fmt::format("bench gradient: the gradient by {} is wrong: {:.6e} at {}, by central differences "
                    "{:.6e}; the difference is above the tolerance {:g}",
                    worst.tensor, worst.analytic, worst.place, worst.numeric, tolerance));
}

}  // namespace

int bench_gradient(const BenchGradientOptions& options) {
  require_distinct({options.rule}, {options.json});
  // 1. The rule, its engine and a problem
  auto rule = read_checked(options);
  rule.settings.engine.precision = rule::Precision::float64;
  rule.settings.engine.threads = 1;
  const auto engine = rule::make_engine(rule.settings.rule, rule.settings.engine);
  const auto problem = make_problem(*engine, std::move(rule.theta), options);
  rule::DifferenceOptions differences;
  differences.tolerance = options.tolerance;

  // 2. The comparison
  const auto check = rule::check_gradient(*engine, problem, differences, options.seed);
  if (check.outcome != rule::Outcome::finished)
    throw Error(
        fmt::format("bench gradient: the truncation ended with {}; take another --seed or less --noise",
                    rule::outcome_name(check.outcome)));

  // 3. The table
  fmt::print("{} on {}; {} inner steps of a base model {}; {} θ plus noise of {:g}\n\n",
             rule.settings.rule.name, engine->description(), options.inner_steps,
             problem.architecture.description(), problem.theta.size(), options.noise);
  print(check);
  fmt::print(
      "\nThe worst of up to three numbers and a random direction of each parameter; difference: relative to "
      "the parameter's largest gradient, or {:g} of the largest of all.\nLargest difference {:.1e}, "
      "tolerance "
      "{:g}.\n",
      differences.smallest_scale, check.worst().difference, differences.tolerance);
  std::fflush(stdout);
  const json result = {{"rule", rule.settings.rule.name},
                       {"engine", engine->description()},
                       {"meta_objective", check.objective},
                       {"forward_meta_objective", check.forward_objective},
                       {"tolerance", differences.tolerance},
                       {"largest_difference", check.worst().difference},
                       {"rows", to_json(check)}};
  if (!options.json.empty()) store::write_file_atomically(options.json, result.dump(2) + "\n");
  judge(check, differences.tolerance);
  return 0;
}

}  // namespace outerloop::cli
