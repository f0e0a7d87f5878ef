// outerloop bench estimators: accuracy and noise of the gradient estimators relative to the untruncated
// gradient, by horizon. docs/estimators.md.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/bench/benchmarks.h"
#include "cli/bench/machine.h"
#include "cli/support/evaluated_rule.h"
#include "cli/support/output_files.h"
#include "cli/support/rule_module.h"
#include "common/base/error.h"
#include "common/config/settings.h"
#include "common/rule/engines/make_engine.h"
#include "common/rule/estimator.h"
#include "common/rule/phi.h"
#include "common/store/atomic_file.h"
#include "common/store/files.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;
using rule::EstimatorKind;
using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
double norm(const Vector& a) { return std::sqrt(dot(a, a)); }

/// A rule with one task of its distribution and the steps of the longest horizon.
struct Course {
  rule::Engine& engine;
  const Vector& theta;
  rule::Architecture architecture;
  Vector phi;
  std::vector<rule::StepData> steps;

  std::vector<rule::StepData> part(std::int64_t first, std::int64_t count) const {
    return {steps.begin() + first, steps.begin() + first + count};
  }
};

rule::TruncationResult finished(rule::TruncationResult result) {
  if (result.outcome != rule::Outcome::finished)
    throw Error(std::string("bench estimators: a task ended with ") + rule::outcome_name(result.outcome) +
                ": take another --seed, or shorter --horizons");
  return result;
}

/// ∂ mean(J_{h-k+1} .. J_h) / ∂θ through all h inner steps: the difference of two untruncated sums.
Vector whole_gradient(const Course& course, std::int64_t horizon, std::int64_t k) {
  const auto sum_to = [&](std::int64_t count) {
    auto result = finished(
        course.engine.truncation(course.architecture, course.theta, course.phi, course.part(0, count)));
    for (double& value : result.d_theta) value *= static_cast<double>(count);
    return result.d_theta;
  };
  Vector gradient = sum_to(horizon);
  if (horizon > k) {
    const Vector before = sum_to(horizon - k);
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] -= before[i];
  }
  for (double& value : gradient) value /= static_cast<double>(k);
  return gradient;
}

/// φ before the last k of `horizon` steps.
Vector phi_before(const Course& course, std::int64_t horizon, std::int64_t k) {
  std::vector<rule::Batch> minibatches;
  for (const auto& step : course.part(0, horizon - k)) minibatches.push_back(step.inner);
  return minibatches.empty()
             ? course.phi
             : course.engine.unroll(course.architecture, course.theta, course.phi, minibatches);
}

/// Spread of an evolution estimator at one horizon: the variance of one pair's gradient, summed over θ.
struct Spread {
  double variance = 0.0;
  double milliseconds = 0.0;  ///< of one truncation with one pair
};

Spread spread_of(const std::vector<Vector>& samples, double milliseconds) {
  const auto n = static_cast<double>(samples.size());
  Vector mean(samples[0].size());
  for (const auto& sample : samples)
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += sample[i] / n;
  double squares = 0.0;
  for (const auto& sample : samples)
    for (std::size_t i = 0; i < mean.size(); ++i) squares += (sample[i] - mean[i]) * (sample[i] - mean[i]);
  return {squares / (n - 1.0), milliseconds};
}

/// Spread over replicates of the last truncation's gradient, for each horizon (ascending); `starts`: φ before
/// that truncation.
std::vector<Spread> spreads(const Course& course, EstimatorKind kind, const BenchEstimatorsOptions& wanted,
                            const std::vector<Vector>& starts) {
  const auto& horizons = wanted.horizons;
  const std::int64_t k = wanted.truncation;
  const int replicates = wanted.replicates;
  const rule::EstimatorOptions options{kind, wanted.deviation, 1, 0.0};
  std::vector<std::vector<Vector>> samples(horizons.size());
  std::vector<double> seconds(horizons.size());
  for (int replicate = 0; replicate < replicates; ++replicate) {
    const rule::Random random(1, 0, static_cast<std::uint32_t>(replicate), rule::Purpose::perturbation);
    std::vector<rule::PerturbedPair> pairs;
    std::uint32_t truncation = 0;
    for (std::size_t h = 0; h < horizons.size(); ++h) {
      // Truncated evolution needs no truncations before it, the kinds that keep their φ all of them.
      if (!options.persistent()) truncation = static_cast<std::uint32_t>(horizons[h] / k) - 1;
      for (; truncation < horizons[h] / k; ++truncation) {
        const auto start = std::chrono::steady_clock::now();
        auto result = finished(rule::estimate_gradient(
            course.engine, options,
            {course.architecture, course.theta, options.persistent() ? course.phi : starts[h],
             course.part(truncation * k, k), random, truncation},
            pairs));
        if (truncation + 1 < horizons[h] / k) continue;
        seconds[h] += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        samples[h].push_back(std::move(result.d_theta));
      }
    }
  }
  std::vector<Spread> result;
  for (std::size_t h = 0; h < horizons.size(); ++h)
    result.push_back(spread_of(samples[h], 1e3 * seconds[h] / replicates));
  return result;
}

/// One line of the table: means over tasks.
struct Row {
  std::int64_t horizon = 0;
  double whole_norm = 0.0, truncated_norm = 0.0, cosine = 0.0, milliseconds = 0.0;
  Spread evolution, persistent, reuse;
  /// Variance over the squared norm of what they estimate.
  double evolution_noise = 0.0, persistent_noise = 0.0, reuse_noise = 0.0;

  json to_json() const {
    return {{"horizon", horizon},
            {"whole_norm", whole_norm},
            {"truncated_norm", truncated_norm},
            {"truncated_cosine", cosine},
            {"backpropagation_ms", milliseconds},
            {"evolution_ms", evolution.milliseconds},
            {"persistent_evolution_ms", persistent.milliseconds},
            {"noise_reuse_ms", reuse.milliseconds},
            {"evolution_noise", evolution_noise},
            {"persistent_evolution_noise", persistent_noise},
            {"noise_reuse_noise", reuse_noise}};
  }
};

void add_task(const Course& course, const BenchEstimatorsOptions& options, std::vector<Row>& rows) {
  const std::int64_t k = options.truncation;
  std::vector<Vector> starts;
  for (const auto horizon : options.horizons) starts.push_back(phi_before(course, horizon, k));
  const auto evolution = spreads(course, EstimatorKind::evolution, options, starts);
  const auto persistent = spreads(course, EstimatorKind::persistent_evolution, options, starts);
  const auto reuse = spreads(course, EstimatorKind::noise_reuse, options, starts);
  for (std::size_t h = 0; h < rows.size(); ++h) {
    Row& row = rows[h];
    const Vector whole = whole_gradient(course, row.horizon, k);
    const auto start = std::chrono::steady_clock::now();
    const Vector truncated = finished(course.engine.truncation(course.architecture, course.theta, starts[h],
                                                               course.part(row.horizon - k, k)))
                                 .d_theta;
    const double share = 1.0 / options.tasks;
    row.milliseconds +=
        share * 1e3 * std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    row.whole_norm += share * norm(whole);
    row.truncated_norm += share * norm(truncated);
    row.cosine += share * dot(whole, truncated) / (norm(whole) * norm(truncated));
    row.evolution.milliseconds += share * evolution[h].milliseconds;
    row.persistent.milliseconds += share * persistent[h].milliseconds;
    row.reuse.milliseconds += share * reuse[h].milliseconds;
    row.evolution_noise += share * evolution[h].variance / dot(truncated, truncated);
    row.persistent_noise += share * persistent[h].variance / dot(whole, whole);
    row.reuse_noise += share * reuse[h].variance / dot(whole, whole);
  }
}

void check(const BenchEstimatorsOptions& options) {
  for (std::size_t i = 0; i < options.horizons.size(); ++i)
    if (options.horizons[i] % options.truncation != 0 ||
        (i > 0 && options.horizons[i] <= options.horizons[i - 1]))
      throw InputError(
          fmt::format("--horizons: {} is not above the previous one, or not a multiple of --truncation {}",
                      options.horizons[i], options.truncation));
}

/// Prints a line for each horizon, and returns the same numbers.
json print_table(const BenchEstimatorsOptions& options, const std::vector<Row>& rows) {
  fmt::print(
      "{} tasks, truncations of {} inner steps, deviation {:g}, {} replicates; noise: a pair's variance over "
      "the squared norm of what it estimates\n\n",
      options.tasks, options.truncation, options.deviation, options.replicates);
  fmt::print("{:>8}{:>13}{:>13}{:>9}{:>9}{:>13}{:>9}{:>13}{:>9}{:>13}{:>9}\n", "horizon", "whole norm",
             "truncated", "cosine", "ms", "ES noise", "ms", "PES noise", "ms", "reuse noise", "ms");
  json table = json::array();
  for (const Row& row : rows) {
    fmt::print("{:>8}{:>13.4g}{:>13.4g}{:>9.3f}{:>9.1f}{:>13.4g}{:>9.1f}{:>13.4g}{:>9.1f}{:>13.4g}{:>9.1f}\n",
               row.horizon, row.whole_norm, row.truncated_norm, row.cosine, row.milliseconds,
               row.evolution_noise, row.evolution.milliseconds, row.persistent_noise,
               row.persistent.milliseconds, row.reuse_noise, row.reuse.milliseconds);
    table.push_back(row.to_json());
  }
  return table;
}

}  // namespace

int bench_estimators(const BenchEstimatorsOptions& options) {
  // 1. The rule, its tasks and an engine
  check(options);
  require_distinct({options.rule}, {options.json});
  const std::string pinned = pin_to_cores(1);
  auto file = store::read_rule(options.rule);
  auto settings = config::settings_from_text(file.config, options.rule + ": /config", {});
  set_module(settings, file, options.rule);
  const bool own = lies_in_own_run(options.rule);
  const auto cache = own ? settings.cache_directory() : data::default_cache_directory();
  std::vector<data::WeightedDataset> datasets;
  for (const auto& dataset : settings.training) {
    if (!own && !dataset.request.path.empty())
      throw InputError(options.rule + ": names the path of a dataset; only a rule in its run directory may");
    datasets.push_back({data::open_dataset(dataset.request, cache), dataset.weight});
  }
  data::TaskOptions drawn = settings.tasks;
  drawn.first.tasks = 0;  // the tasks after the first ones of a run
  const data::TaskDistribution tasks(drawn, std::move(datasets), options.seed);
  const auto engine = rule::make_engine(settings.rule, settings.engine);
  fmt::print("{}, {}; {}; {} after {} updates, {} θ\n", processor_name(), pinned, engine->description(),
             options.rule, file.update, file.theta.size());

  // 2. Task by task
  std::vector<Row> rows(options.horizons.size());
  for (std::size_t h = 0; h < rows.size(); ++h) rows[h].horizon = options.horizons[h];
  for (std::int32_t t = 0; t < options.tasks; ++t) {
    const auto task = tasks.sample(0, static_cast<std::uint32_t>(t));
    Course course{*engine,
                  file.theta,
                  task.architecture,
                  engine->initial_phi(task.architecture, options.seed, 0, static_cast<std::uint32_t>(t)),
                  {}};
    for (std::int64_t step = 0; step < options.horizons.back(); ++step)
      course.steps.push_back(tasks.step_data(task, step));
    add_task(course, options, rows);
  }

  // 3. The table
  const json table = print_table(options, rows);
  const json result = {{"cpu", processor_name()},
                       {"engine", engine->description()},
                       {"rule", options.rule},
                       {"update", file.update},
                       {"parameters", file.theta.size()},
                       {"truncation", options.truncation},
                       {"deviation", options.deviation},
                       {"tasks", options.tasks},
                       {"replicates", options.replicates},
                       {"rows", table}};
  if (!options.json.empty()) store::write_file_atomically(options.json, result.dump(2) + "\n");
  return 0;
}

}  // namespace outerloop::cli
