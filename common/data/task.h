#pragma once
// The task distribution: a task's dataset, classes, permutation of the inputs, architecture and number of
// inner steps, and the minibatches of every step, all from counter-based random numbers.
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/data/augmentation.h"
#include "common/data/dataset.h"
#include "common/rule/engine.h"
#include "common/rule/random.h"

namespace outerloop::data {

/// Fewest classes of a task: with two the meta-objective has no gradient.
inline constexpr std::int64_t kFewestClasses = 3;
/// The same if examples have scores, which are an additional target.
inline constexpr std::int64_t kFewestScored = 2;

/// A range of integers, both ends included.
struct IntegerRange {
  std::int64_t low = 0;
  std::int64_t high = 0;
};

// The options below have no defaults here: config.proto states them. An unset option is 0, "off" or rejected.

/// The sizes that determine a task's computing time.
struct TaskSizes {
  std::int64_t minibatch = 0;  ///< B: examples of an inner step
  IntegerRange hidden_layers;  ///< depth without the output layer
  IntegerRange width;          ///< units per hidden layer, one draw per task
  IntegerRange inner_steps;    ///< length of a task
};

/// Sizes of the first tasks of every stream, which replace TaskOptions::sizes.
struct FirstTasks {
  std::int64_t tasks = 0;  ///< tasks of each stream; 0: none
  TaskSizes sizes;
};

/// The distribution that tasks are sampled from.
struct TaskOptions {
  TaskSizes sizes;
  FirstTasks first;                     ///< of tasks with an index below first.tasks
  IntegerRange way;                     ///< classes per task, >= 3, limited by the dataset
  IntegerRange subclasses;              ///< dataset classes per task class, if there are enough
  std::int64_t labelled_per_class = 0;  ///< K: examples per class in each labelled minibatch
  std::int64_t output_units = 0;        ///< N_L; 0: the task's number of classes (supervised rules)
  bool inner_steps_uniform = false;     ///< length uniform; false: log-uniform
  bool random_offset = false;  ///< a stream's first task is cut to uniform(1, its length), as if begun before
  IntegerRange words;          ///< number of most frequent words used as inputs; {0, 0}: all
  std::int64_t smallest_side = 0;    ///< side of images: uniform(this, the dataset's side); 0: unchanged
  double permute_probability = 0.0;  ///< share of tasks whose inputs are permuted
  double invert_probability = 0.0;   ///< the whole task shows 1 - x
  double gain_jitter = 0.0;          ///< g: the whole task's x is multiplied by exp(uniform(-g, g)), 0 .. 10
  AugmentationOptions augmentation;  ///< of every example, in the tasks that use it
  /// Relative share of tasks per domain: the domain is drawn first, then a dataset of it by its weight. All
  /// 0: datasets are drawn by weight alone.
  std::array<double, kDomains.size()> share{};
};

struct WeightedDataset {
  std::shared_ptr<const Dataset> dataset;
  double weight = 0.0;  ///< share of tasks, relative to the others; positive
};

/// One task: a pure function of (seed, stream, index).
struct Task {
  std::uint32_t stream = 0;
  std::uint32_t index = 0;            ///< index of the task in its stream
  std::size_t dataset = 0;            ///< index in the distribution's list
  std::vector<std::int32_t> classes;  ///< the dataset's labels: those of the task's class 0, then of 1, ...
                                      ///< all of one group, if the dataset has groups
  std::int64_t subclasses = 1;        ///< dataset labels per class of the task
  std::int64_t side = 0;              ///< of its images; 0: vectors
  std::vector<std::int32_t> permutation;  ///< x[i] = pixel[permutation[i]]
  rule::Architecture architecture;
  std::int64_t minibatch = 0;    ///< B
  std::int64_t inner_steps = 0;  ///< length: the stream's next task starts afterwards
  bool inverted = false;
  double gain = 1.0;
  bool augmented = false;  ///< each example has its own coefficients

  /// Its classes.
  std::int64_t way() const { return static_cast<std::int64_t>(classes.size()) / subclasses; }
};

/// A dataset and one of its groups of classes.
struct Place {
  std::size_t dataset = 0;  ///< index in the distribution's list
  std::size_t group = 0;    ///< index among those of its groups that tasks are drawn from
};

/// What tasks that are computed side by side have in common: all that decides the shapes of their tensors,
/// and how long they are. A pure function of (seed, stream, index).
struct Round {
  std::uint32_t stream = 0;  ///< that of the first of them
  std::uint32_t index = 0;
  Place place;  ///< any other place has the same domain and as many inputs (before the two below)
  Domain domain = Domain::images;
  std::int64_t side = 0;  ///< of images; 0: vectors
  std::int64_t inputs = 0;
  std::int64_t hidden_layers = 0;
  std::int64_t width = 0;
  std::int64_t minibatch = 0;  ///< B
  std::int64_t inner_steps = 0;
};

/// x[i] = pixel[permutation[i]] of task `index` of stream `stream`: with `probability` its own permutation
/// (task_permutation), else the identity (augmentation, element 3, decides).
std::vector<std::int32_t> task_permutation(std::uint64_t seed, std::uint32_t stream, std::uint32_t index,
                                           std::int32_t inputs, double probability);

class TaskDistribution {
 public:
  /// Throws InputError, naming key or dataset, its value and the allowed range: an option out of range
  /// (including fewer than three classes: with two the meta-objective has no gradient), no datasets, a weight
  /// that is not positive, or a dataset with fewer than way.low classes of 2K examples (if it has groups: in
  /// every group). Smaller classes and groups are never sampled. A dataset with scores needs only two
  /// classes: its score is an additional target. If domains have shares, each domain that is present needs
  /// one.
  TaskDistribution(TaskOptions options, std::vector<WeightedDataset> datasets, std::uint64_t seed);

  const TaskOptions& options() const { return options_; }
  const std::vector<WeightedDataset>& datasets() const { return datasets_; }

  /// Elements of each purpose: task_dataset 0, 1 (subclasses), 2 (group), 3 (domain), 4 (place within a
  /// round); task_classes 0 (way), then 1 .. way · subclasses; task_permutation 0 .. inputs - 1;
  /// task_architecture 0 (depth), 1 (width), 2 (side), 3 (words); task_steps 0, 1 (offset); augmentation 0
  /// (inversion), 1 (gain), 2 (whether examples are augmented).
  Task sample(std::uint32_t stream, std::uint32_t index) const;

  /// What decides shapes in task `index` of `stream`.
  Round round(std::uint32_t stream, std::uint32_t index) const;
  /// A task within a round, whose stream and index are its own: what decides shapes is the round's, all else
  /// is drawn as by the function of two arguments. The place is drawn by element 4 among those with the
  /// round's domain and number of inputs; the number of classes is the round's draw, mapped to the range that
  /// the place has. Over all rounds such a task is distributed as any other.
  Task sample(const Round& round, std::uint32_t stream, std::uint32_t index) const;

  /// The minibatch and the two labelled minibatches (disjoint, y one-hot over the task's classes, then
  /// regression targets: batch_writer.h) of inner step `step` >= 0. The inner minibatch is drawn from the
  /// task's classes without regard to labels; y holds them only for rules that train on labels. Rows of a and
  /// b are ordered by class, K rows each. x = gain · (v, or 1 - v where inverted), permuted; v = pixel / 255,
  /// resized to the task's side, augmented where the task is. Elements: minibatch step · B + row; labelled
  /// (step · way + class) · 2K + draw, of which the first K are a's; noise step · (B + 2K · way) + place
  /// among the step's examples (inner, then a and b as they are drawn); example_augmentation
  /// kCoefficientElements times that. Throws Error where such an element does not fit into 32 bits (after
  /// about 10^6 steps of one task).
  rule::StepData step_data(const Task& task, std::int64_t step) const;

 private:
  const TaskSizes& sizes(std::uint32_t index) const;  ///< of a stream's task of this index
  void check_shares() const;
  std::size_t sample_dataset(const rule::Random& random) const;
  Place sample_place(const Round& round, const rule::Random& random) const;
  bool same_shape(const Place& a, const Place& b) const;
  Task sample_at(const Place& place, const Round& round, std::uint32_t stream, std::uint32_t index) const;

  TaskOptions options_;
  std::vector<WeightedDataset> datasets_;
  bool shared_ = false;  ///< domains have shares
  std::uint64_t seed_;
  /// [datasets][groups][...]: classes with at least 2K examples, in groups with enough such classes
  std::vector<std::vector<std::vector<std::int32_t>>> eligible_;
};

}  // namespace outerloop::data
