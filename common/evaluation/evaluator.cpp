#include "common/evaluation/evaluator.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/base/error.h"
#include "common/evaluation/labelled_batch.h"
#include "common/rule/phi.h"
#include "common/rule/random.h"
#include "common/rule/readout.h"
#include "common/rule/rules.h"

namespace outerloop::evaluation {
namespace {

constexpr std::uint32_t kSeedStream = 0xFFFFFFFEu;  // few_shot.cpp uses the other elements of this purpose
constexpr std::int64_t kUnrollChunk = 32;           // inner steps whose minibatches are in memory together
constexpr double kLambda = 0.1;                     // of the read-out, on scaled features

template <class Values>
bool all_finite(const Values& values) {
  return std::all_of(values.begin(), values.end(), [](auto value) { return std::isfinite(value); });
}

}  // namespace

data::TaskDistribution evaluation_tasks(data::TaskOptions options,
                                        std::shared_ptr<const data::Dataset> dataset, std::uint64_t seed) {
  const std::int64_t examples = 2 * options.labelled_per_class;
  std::int64_t classes = 0;  // of the group with the most inputs
  for (const auto& group : dataset->classes_with(examples))
    classes = std::max(classes, static_cast<std::int64_t>(group.size()));
  const std::int64_t needed = dataset->scores.empty() ? data::kFewestClasses : data::kFewestScored;
  if (classes < needed)
    throw InputError("evaluation.dataset " + dataset->name + ": " + std::to_string(classes) +
                     " classes with " + std::to_string(examples) +
                     " examples (twice tasks.labelled_per_class), a task needs " + std::to_string(needed) +
                     ": take another dataset, or evaluation.every_updates: 0");
  if (dataset->scores.empty()) options.way.low = std::min(options.way.low, classes);
  options.invert_probability = 0.0;
  options.share = {};  // each dataset separately
  options.gain_jitter = 0.0;
  options.augmentation = {};
  options.smallest_side = 0;
  options.words = {};
  options.permute_probability = 1.0;
  options.first.tasks = 0;
  return data::TaskDistribution(options, {{std::move(dataset), 1.0}}, seed);
}

Evaluator::Evaluator(rule::Engine& engine, const data::TaskOptions& tasks,
                     const std::vector<std::shared_ptr<const data::Dataset>>& datasets,
                     EvaluatorOptions options)
    : engine_(engine),
      options_(options),
      seed_(rule::Random(options.seed, kSeedStream, 0, rule::Purpose::evaluation).bits(0)) {
  for (const auto& dataset : datasets) tasks_.push_back(evaluation_tasks(tasks, dataset, seed_));
}

Evaluation Evaluator::evaluate(const std::vector<double>& theta, std::uint32_t dataset,
                               std::uint32_t task_number) const {
  OUTERLOOP_CHECK(dataset < tasks_.size(), "there is no dataset " + std::to_string(dataset));
  const auto& tasks = tasks_[dataset];
  const data::Task task = tasks.sample(dataset, task_number);
  auto phi = engine_.initial_phi(task.architecture, seed_, dataset, task_number);
  if (!train(theta, tasks, task, phi)) return {rule::Outcome::not_finite, 0.0, 0.0};
  Evaluation result;
  for (std::int64_t draw = 0; draw < options_.labelled_draws; ++draw)
    result.meta_objective += engine_.meta_objective(task.architecture, theta, phi,
                                                    tasks.step_data(task, options_.inner_steps + draw));
  result.meta_objective /= static_cast<double>(options_.labelled_draws);
  if (!std::isfinite(result.meta_objective)) return {rule::Outcome::dead_features, 0.0, 0.0};
  result.accuracy = accuracy(theta, tasks, task, phi);
  return result;
}

/// Returns whether φ stayed finite.
bool Evaluator::train(const std::vector<double>& theta, const data::TaskDistribution& tasks,
                      const data::Task& task, std::vector<double>& phi) const {
  for (std::int64_t step = 0; step < options_.inner_steps;) {
    std::vector<rule::Batch> minibatches;
    const std::int64_t end = std::min(step + kUnrollChunk, options_.inner_steps);
    for (; step < end; ++step) minibatches.push_back(tasks.step_data(task, step).inner);
    phi = engine_.unroll(task.architecture, theta, phi, minibatches);
  }
  return all_finite(phi);
}

double Evaluator::accuracy(const std::vector<double>& theta, const data::TaskDistribution& tasks,
                           const data::Task& task, const std::vector<double>& phi) const {
  if (rule::supervised(engine_.rule())) return std::numeric_limits<double>::quiet_NaN();
  rule::Matrix unlabelled;
  std::int64_t step = options_.inner_steps;
  while (unlabelled.rows < options_.statistics_examples)
    append(tasks.step_data(task, step++).inner, unlabelled);
  const auto statistics = engine_.calibrate(task.architecture, theta, phi, unlabelled);
  const auto features = [&](const rule::Batch& batch) {
    return engine_.features(task.architecture, theta, phi, statistics, matrix_of(batch));
  };
  const std::int64_t classes = task.way();
  double sum = 0.0;
  for (std::int64_t draw = 0; draw < options_.labelled_draws; ++draw) {
    const auto data = tasks.step_data(task, options_.inner_steps + draw);
    const auto train = features(data.a), test = features(data.b);
    if (!all_finite(train.values)) return std::numeric_limits<double>::quiet_NaN();
    const rule::RidgeClassifier readout(train, labels_of(data.a, classes), classes, kLambda);
    sum += rule::accuracy(readout.predict(test), labels_of(data.b, classes));
  }
  return sum / static_cast<double>(options_.labelled_draws);
}

}  // namespace outerloop::evaluation
