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
  const Round own = round(stream, index);
  return sample_at(own.place, own, stream, index);
}

Task TaskDistribution::sample(const Round& round, std::uint32_t stream, std::uint32_t index) const {
  return sample_at(sample_place(round, Random(seed_, stream, index, Purpose::task_dataset)), round, stream,
                   index);
}

Round TaskDistribution::round(std::uint32_t stream, std::uint32_t index) const {
  const auto random = [&](Purpose purpose) { return Random(seed_, stream, index, purpose); };
  Round round;
  round.stream = stream;
  round.index = index;
  const Random places = random(Purpose::task_dataset);
  round.place.dataset = sample_dataset(places);
  const auto& groups = eligible_[round.place.dataset];
  round.place.group = static_cast<std::size_t>(places.below(2, groups.size()));
  const Dataset& dataset = *datasets_[round.place.dataset].dataset;
  round.domain = dataset.domain;

  const Random shapes = random(Purpose::task_architecture);
  round.hidden_layers = draw(shapes, 0, sizes(index).hidden_layers);
  round.width = draw(shapes, 1, sizes(index).width);
  round.side = dataset.size;
  if (options_.smallest_side > 0 && options_.smallest_side < dataset.size)
    round.side = draw(shapes, 2, {options_.smallest_side, dataset.size});
  round.inputs =
      round.side > 0 ? round.side * round.side : dataset.inputs_of(groups[round.place.group].front());
  if (dataset.bag_of_words && options_.words.high > 0)
    round.inputs = draw(shapes, 3, at_most(options_.words, round.inputs));

  const Random steps = random(Purpose::task_steps);
  const IntegerRange range = sizes(index).inner_steps;
  round.inner_steps =
      options_.inner_steps_uniform ? draw(steps, 0, range) : steps.log_uniform(0, range.low, range.high);
  if (options_.random_offset && index == 0) round.inner_steps = draw(steps, 1, {1, round.inner_steps});
  round.minibatch = sizes(index).minibatch;
  return round;
}

/// Whether tasks of both places have inputs alike, whatever part of them a round takes.
bool TaskDistribution::same_shape(const Place& a, const Place& b) const {
  const Dataset& one = *datasets_[a.dataset].dataset;
  const Dataset& other = *datasets_[b.dataset].dataset;
  return one.domain == other.domain && one.size == other.size && one.bag_of_words == other.bag_of_words &&
         one.inputs_of(eligible_[a.dataset][a.group].front()) ==
             other.inputs_of(eligible_[b.dataset][b.group].front());
}

/// By the probability of each place, given the round's domain and inputs. A dataset's groups share its
/// weight.
Place TaskDistribution::sample_place(const Round& round, const Random& random) const {
  constexpr std::uint32_t kElement = 4;
  std::vector<Place> places;
  std::vector<double> weights;
  for (std::size_t d = 0; d < datasets_.size(); ++d)
    for (std::size_t g = 0; g < eligible_[d].size(); ++g) {
      if (!same_shape({d, g}, round.place)) continue;
      places.push_back({d, g});
      weights.push_back(datasets_[d].weight / static_cast<double>(eligible_[d].size()));
    }
  return places[place_of(random.uniform(kElement), weights)];
}

Task TaskDistribution::sample_at(const Place& place, const Round& round, std::uint32_t stream,
                                 std::uint32_t index) const {
  const auto random = [&](Purpose purpose) { return Random(seed_, stream, index, purpose); };
  Task task;
  task.stream = stream;
  task.index = index;
  task.dataset = place.dataset;

  const std::vector<std::int32_t>& eligible = eligible_[place.dataset][place.group];
  const auto usable = static_cast<std::int64_t>(eligible.size());
  const Random ways(seed_, round.stream, round.index, Purpose::task_classes);
  const std::int64_t way = draw(ways, 0, at_most(options_.way, usable));
  task.subclasses = draw(random(Purpose::task_dataset), 1, at_most(options_.subclasses, usable / way));
  for (const std::int32_t class_place :
       random(Purpose::task_classes)
           .sample(static_cast<std::int32_t>(usable), static_cast<std::int32_t>(way * task.subclasses), 1))
    task.classes.push_back(eligible[static_cast<std::size_t>(class_place)]);

  task.side = round.side;
  auto& units = task.architecture.units;
  units.push_back(round.inputs);
  units.insert(units.end(), static_cast<std::size_t>(round.hidden_layers), round.width);
  units.push_back(options_.output_units > 0 ? options_.output_units : way);
  task.inner_steps = round.inner_steps;
  task.minibatch = round.minibatch;

  const Random augmentation = random(Purpose::augmentation);
  task.inverted = augmentation.uniform(0) < options_.invert_probability;
  task.gain = std::exp(augmentation.uniform(1, -options_.gain_jitter, options_.gain_jitter));
  task.augmented =
      options_.augmentation.enabled() && augmentation.uniform(2) < options_.augmentation.probability;
  task.permutation = task_permutation(seed_, stream, index, static_cast<std::int32_t>(round.inputs),
                                      options_.permute_probability);
  return task;
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
