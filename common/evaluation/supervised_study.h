#pragma once
// Evaluates a rule that trains on labels on new tasks: loss and accuracy over inner steps, next to SGD, SGD
// with momentum and Adam with tuned learning rates.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/data/task.h"
#include "common/evaluation/few_shot.h"
#include "common/evaluation/interval.h"
#include "common/evaluation/rule_under_test.h"

namespace outerloop::evaluation {

struct SupervisedOptions {
  std::int64_t horizon = 0;         ///< inner steps that learning rates are tuned for, at least 1
  std::int64_t tasks = 0;           ///< evaluation tasks, at least 1
  std::int64_t tuning_tasks = 8;    ///< others
  std::int64_t labelled_draws = 4;  ///< labelled minibatches per evaluation of a base model
  int threads = 1;                  ///< tasks computed at once, each by its own engine
};

struct SupervisedPoint {
  std::int64_t steps = 0;
  /// Over tasks, on labelled minibatches of the task's classes: cross-entropy in nats, and the fraction of
  /// examples whose class has the highest score. NaN where the base model of a task is not finite.
  Interval loss, accuracy;
};

struct SupervisedCurve {
  std::string method;          ///< rule | untrained | sgd | momentum | adam
  double learning_rate = 0.0;  ///< tuned; 0: the rule's own
  std::vector<SupervisedPoint> points;
};

/// Numbers of inner steps: 1, 2, 5, 10, 20, ... and once, four times and ten times the horizon; rising.
std::vector<std::int64_t> supervised_steps(std::int64_t horizon);

/// All methods on the same tasks from the same φ, with batch norm by each minibatch's own statistics. The
/// learning rates of sgd, momentum (0.9) and adam are selected from nine, half a decade apart, by the mean
/// loss at the horizon of the tuning tasks. `tasks` must have another seed than the training, and outlive the
/// call. Throws the engines' exceptions.
std::vector<SupervisedCurve> evaluate_supervised(const RuleUnderTest& rule,
                                                 const data::TaskDistribution& tasks,
                                                 const SupervisedOptions& options,
                                                 const DrawProgress& progress);

}  // namespace outerloop::evaluation
