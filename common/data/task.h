#pragma once
// The task distribution: dataset, classes, permutation of the inputs, architecture and number of inner steps, and
// the minibatches of every step, all from counter-based random numbers.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/data/dataset.h"
#include "common/rule/engine.h"

namespace outerloop::data {

/// A range of integers, both ends included.
struct IntegerRange {
  std::int64_t low = 1;
  std::int64_t high = 1;
};

/// What tasks are sampled from.
struct TaskOptions {
  IntegerRange way{5, 5};                ///< classes per task, >= 3
  std::int64_t labelled_per_class = 10;  ///< K: examples per class in each labelled minibatch
  std::int64_t minibatch = 64;           ///< B: examples of an inner step
  IntegerRange hidden_layers{1, 2};      ///< depth without the output layer
  IntegerRange width{32, 48};            ///< units per hidden layer, one draw per task
  std::int64_t output_units = 32;        ///< N_L; 0: the task's way (supervised rules)
  IntegerRange inner_steps{10, 100};     ///< length of a task, log-uniform
  double invert_probability = 0.0;       ///< the whole task shows 1 - x
  double gain_jitter = 0.0;              ///< the whole task's contrast is multiplied by exp(uniform(-g, g)), about 0.5
};

struct WeightedDataset {
  std::shared_ptr<const Dataset> dataset;
  double weight = 1.0;  ///< share of tasks, relative
};

/// One task: a pure function of (seed, stream, index).
struct Task {
  std::uint32_t stream = 0;
  std::uint32_t index = 0;                 ///< counts the tasks of its stream
  std::size_t dataset = 0;                 ///< place in the distribution's list
  std::vector<std::int32_t> classes;       ///< way labels of the dataset; place in the list = label in the task
  std::vector<std::int32_t> permutation;   ///< x[i] = pixel[permutation[i]]
  rule::Architecture architecture;
  std::int64_t inner_steps = 0;            ///< after so many steps the stream begins its next task
  bool inverted = false;
  double gain = 1.0;
};

class TaskDistribution {
 public:
  /// Throws InputError where a dataset has too few classes or examples per class for the options.
  TaskDistribution(TaskOptions options, std::vector<WeightedDataset> datasets, std::uint64_t seed);

  const TaskOptions& options() const { return options_; }
  const std::vector<WeightedDataset>& datasets() const { return datasets_; }

  Task sample(std::uint32_t stream, std::uint32_t index) const;

  /// The minibatch and the two labelled minibatches (disjoint, y one-hot over the task's classes) of inner step
  /// `step` >= 0. The inner minibatch is drawn from the task's classes without regard to labels and carries them
  /// in y only for rules that train on labels.
  rule::StepData step_data(const Task& task, std::int64_t step) const;

 private:
  TaskOptions options_;
  std::vector<WeightedDataset> datasets_;
  std::uint64_t seed_;
};

}  // namespace outerloop::data
