#include "common/data/task.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "common/base/error.h"
#include "common/data/batch_writer.h"
#include "common/rule/random.h"

namespace outerloop::data {
namespace {

using rule::Purpose;
using rule::Random;

constexpr std::int64_t kLargest = 1000000;

/// A range is set by the keys min_NAME and max_NAME of `group`, e.g. "tasks.".
void require_range(const std::string& group, const std::string& name, IntegerRange range, std::int64_t lowest,
                   const char* reason = "") {
  if (range.low >= lowest && range.low <= range.high && range.high <= kLargest) return;
  throw InputError(group + "min_" + name + " = " + std::to_string(range.low) + ", " + group + "max_" + name +
                   " = " + std::to_string(range.high) + ": allowed are rising ranges within " +
                   std::to_string(lowest) + " to " + std::to_string(kLargest) + reason);
}

/// `key` in full, e.g. "tasks.minibatch".
template <class Number>
void require_number(const std::string& key, Number value, Number low, Number high) {
  if (value >= low && value <= high) return;
  throw InputError(key + ": " + std::to_string(value) + ", allowed is " + std::to_string(low) + " to " +
                   std::to_string(high));
}

void check_sizes(const std::string& group, const TaskSizes& sizes) {
  require_range(group, "hidden_layers", sizes.hidden_layers, 0);
  require_range(group, "width", sizes.width, 1);
  require_range(group, "inner_steps", sizes.inner_steps, 1);
  require_number(group + "minibatch", sizes.minibatch, std::int64_t{1}, kLargest);
}

void check_options(const TaskOptions& options) {
  constexpr std::int64_t kNone = 0, kOne = 1;
  require_range("tasks.", "way", options.way, kFewestClasses,
                " (two classes give the meta-objective no gradient)");
  require_range("tasks.", "subclasses", options.subclasses, 1);
  check_sizes("tasks.", options.sizes);
  if (options.words.high != 0) require_range("tasks.", "words", options.words, 1);
  require_number("tasks.labelled_per_class", options.labelled_per_class, kOne, kLargest);
  require_number("rule.output_units", options.output_units, kNone, kLargest);
  require_number("tasks.min_size", options.smallest_side, kNone, kLargest);
  require_number("tasks.first.tasks", options.first.tasks, kNone, kLargest);
  if (options.first.tasks > 0) check_sizes("tasks.first.", options.first.sizes);
  require_number("tasks.permute_probability", options.permute_probability, 0.0, 1.0);
  require_number("tasks.invert_probability", options.invert_probability, 0.0, 1.0);
  require_number("tasks.gain_jitter", options.gain_jitter, 0.0, 10.0);
  check_augmentation(options.augmentation);
}

/// The range, limited to `most`.
IntegerRange at_most(IntegerRange range, std::int64_t most) {
  return {std::min(range.low, most), std::min(range.high, most)};
}

std::int64_t draw(const Random& random, std::uint32_t element, IntegerRange range) {
  return range.low + static_cast<std::int64_t>(
                         random.below(element, static_cast<std::uint64_t>(range.high - range.low + 1)));
}

std::size_t index_of(Domain domain) { return static_cast<std::size_t>(domain); }

double share_of(const TaskOptions& options, Domain domain) { return options.share[index_of(domain)]; }

/// The index among weights that `u`, uniform in [0, 1), falls on; if rounding leaves none, the last weight
/// above 0.
template <class Weights>
std::size_t place_of(double u, const Weights& weights) {
  double total = 0.0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    total += weights[i];
    if (weights[i] > 0.0) last = i;
  }
  double left = u * total;
  std::size_t place = 0;
  while (place < last && left >= weights[place]) left -= weights[place++];
  return place;
}

/// First element of block `block`, for blocks of `count` elements.
std::uint32_t first_element(std::int64_t block, std::int64_t count) {
  if (block > (std::int64_t{UINT32_MAX} + 1) / count - 1)
    throw Error("inner step " + std::to_string(block) +
                " is beyond the range of a task's random numbers: lower tasks.max_inner_steps");
  return static_cast<std::uint32_t>(block * count);
}

/// Number of examples in `count` of the task's dataset classes, from the one at `first` on.
std::uint64_t examples_of(const Dataset& dataset, const Task& task, std::int64_t first, std::int64_t count) {
  std::uint64_t examples = 0;
  for (std::int64_t i = first; i < first + count; ++i)
    examples +=
        dataset.examples_of_class[static_cast<std::size_t>(task.classes[static_cast<std::size_t>(i)])].size();
  return examples;
}

/// The task's label and the example at index `place` among all examples of the task's dataset classes, from
/// the one at `first` on.
std::pair<std::size_t, std::int32_t> example_at(const Dataset& dataset, const Task& task, std::int64_t first,
                                                std::uint64_t place) {
  for (auto i = static_cast<std::size_t>(first);; ++i) {
    const auto& examples = dataset.examples_of_class[static_cast<std::size_t>(task.classes[i])];
    if (place < examples.size())
      return {i / static_cast<std::size_t>(task.subclasses), examples[static_cast<std::size_t>(place)]};
    place -= examples.size();
  }
}

}  // namespace

std::vector<std::int32_t> task_permutation(std::uint64_t seed, std::uint32_t stream, std::uint32_t index,
                                           std::int32_t inputs, double probability) {
  if (Random(seed, stream, index, Purpose::augmentation).uniform(3) < probability)
    return Random(seed, stream, index, Purpose::task_permutation).permutation(inputs);
  std::vector<std::int32_t> none(static_cast<std::size_t>(inputs));
  std::iota(none.begin(), none.end(), 0);
  return none;
}

TaskDistribution::TaskDistribution(TaskOptions options, std::vector<WeightedDataset> datasets,
                                   std::uint64_t seed)
    : options_(options), datasets_(std::move(datasets)), seed_(seed) {
  check_options(options_);
  if (datasets_.empty())
    throw InputError("tasks.dataset: no dataset to sample tasks from: name at least one");
  shared_ =
      std::any_of(options_.share.begin(), options_.share.end(), [](double share) { return share != 0.0; });
  const std::int64_t fewest = 2 * options_.labelled_per_class;
  for (const WeightedDataset& entry : datasets_) {
    OUTERLOOP_CHECK(entry.dataset != nullptr, "dataset is null");
    const std::string& name = entry.dataset->name;
    if (!(entry.weight > 0.0) || !std::isfinite(entry.weight))
      throw InputError("tasks.dataset " + name + ": weight " + std::to_string(entry.weight) +
                       ", it must be a positive number");
    const std::int64_t needed = entry.dataset->scores.empty() ? options_.way.low : kFewestScored;
    std::int64_t most = 0;
    eligible_.emplace_back();
    for (std::vector<std::int32_t>& group : entry.dataset->classes_with(fewest)) {
      const auto classes = static_cast<std::int64_t>(group.size());
      most = std::max(most, classes);
      if (classes >= needed) eligible_.back().push_back(std::move(group));
    }
    if (eligible_.back().empty())
      throw InputError("tasks.dataset " + name + ": " + std::to_string(most) + " classes with " +
                       std::to_string(fewest) +
                       " examples (twice tasks.labelled_per_class), a task needs at least " +
                       std::to_string(needed) + ": lower tasks.min_way or tasks.labelled_per_class");
  }
  check_shares();
}

void TaskDistribution::check_shares() const {
  for (const Domain domain : kDomains)
    require_number(std::string("tasks.share.") + domain_name(domain), share_of(options_, domain), 0.0, 1e9);
  for (const WeightedDataset& entry : datasets_)
    if (shared_ && share_of(options_, entry.dataset->domain) == 0.0)
      throw InputError("tasks.dataset " + entry.dataset->name +
                       ": no share for its domain: set tasks.share." + domain_name(entry.dataset->domain) +
                       ", or leave the dataset out");
}

const TaskSizes& TaskDistribution::sizes(std::uint32_t index) const {
  if (std::int64_t{index} < options_.first.tasks) return options_.first.sizes;
  return options_.sizes;
}

/// Draws a domain by the shares of those present, then a dataset of it by weight.
std::size_t TaskDistribution::sample_dataset(const Random& random) const {
  std::vector<double> weights;
  for (const WeightedDataset& entry : datasets_) weights.push_back(entry.weight);
  if (shared_) {
    std::array<double, kDomains.size()> shares{};
    for (const WeightedDataset& entry : datasets_)
      shares[index_of(entry.dataset->domain)] = share_of(options_, entry.dataset->domain);
    const std::size_t domain = place_of(random.uniform(3), shares);
    for (std::size_t i = 0; i < datasets_.size(); ++i)
      if (index_of(datasets_[i].dataset->domain) != domain) weights[i] = 0.0;
  }
  return place_of(random.uniform(0), weights);
}

Task TaskDistribution::sample(std::uint32_t stream, std::uint32_t index) const {
  const auto random = [&](Purpose purpose) { return Random(seed_, stream, index, purpose); };
  Task task;
  task.stream = stream;
  task.index = index;

  task.dataset = sample_dataset(random(Purpose::task_dataset));
  const Dataset& dataset = *datasets_[task.dataset].dataset;

  const Random classes = random(Purpose::task_classes);
  const auto& groups = eligible_[task.dataset];
  const std::vector<std::int32_t>& eligible =
      groups[static_cast<std::size_t>(random(Purpose::task_dataset).below(2, groups.size()))];
  const auto usable = static_cast<std::int64_t>(eligible.size());
  const std::int64_t way = draw(classes, 0, at_most(options_.way, usable));
  task.subclasses = draw(random(Purpose::task_dataset), 1, at_most(options_.subclasses, usable / way));
  for (const std::int32_t place :
       classes.sample(static_cast<std::int32_t>(usable), static_cast<std::int32_t>(way * task.subclasses), 1))
    task.classes.push_back(eligible[static_cast<std::size_t>(place)]);
  sample_architecture(random(Purpose::task_architecture), dataset, way, task);

  const Random steps = random(Purpose::task_steps);
  const IntegerRange range = sizes(index).inner_steps;
  task.inner_steps =
      options_.inner_steps_uniform ? draw(steps, 0, range) : steps.log_uniform(0, range.low, range.high);
  task.minibatch = sizes(index).minibatch;
  if (options_.random_offset && index == 0) task.inner_steps = draw(steps, 1, {1, task.inner_steps});
  const Random augmentation = random(Purpose::augmentation);
  task.inverted = augmentation.uniform(0) < options_.invert_probability;
  task.gain = std::exp(augmentation.uniform(1, -options_.gain_jitter, options_.gain_jitter));
  task.augmented =
      options_.augmentation.enabled() && augmentation.uniform(2) < options_.augmentation.probability;
  task.permutation =
      task_permutation(seed_, stream, index, static_cast<std::int32_t>(task.architecture.inputs()),
                       options_.permute_probability);
  return task;
}

void TaskDistribution::sample_architecture(const Random& random, const Dataset& dataset, std::int64_t way,
                                           Task& task) const {
  const std::int64_t depth = draw(random, 0, sizes(task.index).hidden_layers);
  const std::int64_t width = draw(random, 1, sizes(task.index).width);
  task.side = dataset.size;
  if (options_.smallest_side > 0 && options_.smallest_side < dataset.size)
    task.side = draw(random, 2, {options_.smallest_side, dataset.size});
  std::int64_t inputs = task.side > 0 ? task.side * task.side : dataset.inputs_of(task.classes.front());
  if (dataset.bag_of_words && options_.words.high > 0)
    inputs = draw(random, 3, at_most(options_.words, inputs));
  task.architecture.units.push_back(inputs);
  task.architecture.units.insert(task.architecture.units.end(), static_cast<std::size_t>(depth), width);
  task.architecture.units.push_back(options_.output_units > 0 ? options_.output_units : way);
}

rule::StepData TaskDistribution::step_data(const Task& task, std::int64_t step) const {
  OUTERLOOP_CHECK(step >= 0, "step " + std::to_string(step));
  const Dataset& dataset = *datasets_.at(task.dataset).dataset;
  const std::int64_t way = task.way();
  const std::int64_t labelled = options_.labelled_per_class;
  const std::int64_t drawn = task.minibatch + 2 * labelled * way;
  const std::uint32_t first_drawn = task.augmented ? first_element(step, drawn * kCoefficientElements) /
                                                         static_cast<std::uint32_t>(kCoefficientElements)
                                                   : 0;
  BatchWriter writer(task, dataset, options_, seed_, first_drawn);
  rule::StepData data{writer.empty(task.minibatch, false), writer.empty(way * labelled, true),
                      writer.empty(way * labelled, true)};

  const std::uint64_t examples = examples_of(dataset, task, 0, way * task.subclasses);
  const Random inner(seed_, task.stream, task.index, Purpose::minibatch);
  const std::uint32_t first = first_element(step, task.minibatch);
  for (std::int64_t row = 0; row < task.minibatch; ++row) {
    const std::uint64_t place = inner.below(first + static_cast<std::uint32_t>(row), examples);
    const auto [label, example] = example_at(dataset, task, 0, place);
    writer.write(example, label, row, data.inner);
  }

  const Random draws(seed_, task.stream, task.index, Purpose::labelled);
  const std::uint32_t step_first = first_element(step, way * 2 * labelled);
  for (std::int64_t c = 0; c < way; ++c) {
    const std::int64_t first_class = c * task.subclasses;
    const std::vector<std::int32_t> places = draws.sample(
        static_cast<std::int32_t>(examples_of(dataset, task, first_class, task.subclasses)),
        static_cast<std::int32_t>(2 * labelled), step_first + static_cast<std::uint32_t>(c * 2 * labelled));
    for (std::int64_t i = 0; i < 2 * labelled; ++i) {
      const auto place = static_cast<std::uint64_t>(places[static_cast<std::size_t>(i)]);
      const auto [label, example] = example_at(dataset, task, first_class, place);
      writer.write(example, label, c * labelled + i % labelled, i < labelled ? data.a : data.b);
    }
  }
  return data;
}

}  // namespace outerloop::data
