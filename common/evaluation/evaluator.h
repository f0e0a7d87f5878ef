#pragma once
// Evaluation of θ during meta-training: the meta-objective and the few-shot accuracy after the inner steps,
// on a few fixed tasks of each dataset. This evaluation is cheap; the table of `outerloop evaluate` is in
// few_shot.h.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/data/task.h"
#include "common/rule/engine.h"

namespace outerloop::evaluation {

struct EvaluatorOptions {
  std::int64_t inner_steps = 0;
  std::int64_t labelled_draws = 4;          ///< pairs of labelled minibatches that score a task
  std::int64_t statistics_examples = 1024;  ///< minimum for the features' batch norm
  std::uint64_t seed = 0;                   ///< of the run
};

/// Scores of one task. Numbers are 0 unless the outcome is `finished`.
struct Evaluation {
  rule::Outcome outcome = rule::Outcome::finished;
  double meta_objective = 0.0;  ///< of φ after the inner steps, mean over the labelled draws
  double accuracy = 0.0;        ///< a fraction, of a ridge read-out, same mean; NaN for rules with labels,
                                ///< and where features are not finite
};

/// The evaluation tasks of one dataset: like the training tasks, but of one size, not inverted, brightened or
/// augmented, and all with permuted inputs. Throws InputError for a dataset with fewer than three classes of
/// 2K examples, or two if it has scores.
data::TaskDistribution evaluation_tasks(data::TaskOptions options,
                                        std::shared_ptr<const data::Dataset> dataset, std::uint64_t seed);

/// The same θ, dataset and task give the same bits in any process. Classes, permutation, architecture and all
/// minibatches follow from the run's seed by Purpose::evaluation. A task has as many classes as a training
/// task, or all classes of a smaller dataset.
class Evaluator {
 public:
  /// `engine` must outlive it. `tasks` are the training tasks' options. Throws InputError for a dataset with
  /// fewer than three classes of 2K examples, or two if it has scores: the meta-objective then includes the
  /// score; accuracy is that of the classes.
  Evaluator(rule::Engine& engine, const data::TaskOptions& tasks,
            const std::vector<std::shared_ptr<const data::Dataset>>& datasets, EvaluatorOptions options);

  std::size_t datasets() const { return tasks_.size(); }
  const data::Dataset& dataset(std::size_t number) const {
    return *tasks_.at(number).datasets().front().dataset;
  }

  /// Task number `task` of dataset number `dataset`. Throws Error for a dataset that does not exist.
  Evaluation evaluate(const std::vector<double>& theta, std::uint32_t dataset, std::uint32_t task) const;

 private:
  bool train(const std::vector<double>& theta, const data::TaskDistribution& tasks, const data::Task& task,
             std::vector<double>& phi) const;
  double accuracy(const std::vector<double>& theta, const data::TaskDistribution& tasks,
                  const data::Task& task, const std::vector<double>& phi) const;

  rule::Engine& engine_;
  EvaluatorOptions options_;
  std::uint64_t seed_ = 0;                     ///< of the evaluation's tasks
  std::vector<data::TaskDistribution> tasks_;  ///< one per dataset
};

}  // namespace outerloop::evaluation
