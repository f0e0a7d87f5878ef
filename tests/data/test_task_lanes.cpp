// Tasks side by side: what they have in common is their round's, all else is their own, and each of them is
// distributed as a task alone.
#include <cmath>
#include <map>
#include <set>

#include "common/data/task.h"
#include "tests/catch.h"
#include "tests/data/task_examples.h"

namespace outerloop::tests {
namespace {

std::shared_ptr<data::Dataset> dataset_of(data::Domain domain, const std::string& name,
                                          std::int64_t classes = 10) {
  auto result = std::make_shared<data::Dataset>(*dataset(name, classes, 20));
  result->domain = domain;
  return result;
}

/// Two groups of five classes: with 9 inputs, and with `inputs`.
std::shared_ptr<data::Dataset> tables(const std::string& name, std::int64_t inputs) {
  auto result = dataset_of(data::Domain::tables, name);
  result->size = 0;
  result->groups.resize(2);
  result->groups[0].inputs = 9;
  result->groups[1].inputs = inputs;
  for (int c = 0; c < 10; ++c) result->group_of_class.push_back(c < 5 ? 0 : 1);
  return result;
}

std::vector<data::WeightedDataset> mixed() {
  return {{dataset_of(data::Domain::images, "a"), 1.0},
          {dataset_of(data::Domain::images, "b", 4), 3.0},
          {dataset_of(data::Domain::texts, "c"), 2.0},
          {tables("d", 7), 1.0},
          {tables("e", 8), 2.0}};
}

TEST_CASE("a task alone is the one that its round is drawn from") {
  const data::TaskDistribution tasks(small_options(), mixed(), 5);
  for (std::uint32_t i = 0; i < 100; ++i) {
    const data::Task task = tasks.sample(6, i);
    const data::Round round = tasks.round(6, i);
    CHECK(round.place.dataset == task.dataset);
    CHECK(round.domain == tasks.datasets()[task.dataset].dataset->domain);
    CHECK(round.inputs == task.architecture.inputs());
    CHECK(round.inner_steps == task.inner_steps);
    CHECK(round.minibatch == task.minibatch);
    CHECK(round.side == task.side);
  }
}

TEST_CASE(
    "tasks of a round share domain and sizes, and draw classes, permutation and the rest by themselves") {
  data::TaskOptions options = small_options();
  options.invert_probability = 0.5;
  options.gain_jitter = 0.3;
  options.smallest_side = 2;
  const data::TaskDistribution tasks(options, mixed(), 5);
  int other_datasets = 0, other_classes = 0;
  for (std::uint32_t i = 0; i < 200; ++i) {
    const data::Round round = tasks.round(8, i);
    const data::Task a = tasks.sample(round, 8, i), b = tasks.sample(round, 9, i + 2);
    CHECK(a.architecture == b.architecture);  // output_units are set
    CHECK(a.inner_steps == b.inner_steps);
    CHECK(a.minibatch == b.minibatch);
    CHECK(a.side == b.side);
    CHECK(b.stream == 9);
    CHECK(b.index == i + 2);
    const auto& of = [&](const data::Task& task) { return *tasks.datasets()[task.dataset].dataset; };
    CHECK(of(a).domain == of(b).domain);
    other_datasets += a.dataset != b.dataset ? 1 : 0;
    other_classes += a.classes != b.classes ? 1 : 0;
    const data::Task alone = tasks.sample(9, i + 2);
    CHECK(b.inverted == alone.inverted);
    CHECK(b.gain == alone.gain);
    if (alone.permutation.size() == b.permutation.size()) CHECK(b.permutation == alone.permutation);
    CHECK(b.way() >= 3);
    CHECK(b.way() <= (b.dataset == 1 ? 4 : 5));
    // What the minibatches are drawn by.
    const auto x = tasks.step_data(b, 1).inner.x;
    data::Task elsewhere = b;
    elsewhere.stream = 8;
    CHECK(x != tasks.step_data(elsewhere, 1).inner.x);
  }
  CHECK(other_datasets > 20);
  CHECK(other_classes > 150);
}

TEST_CASE("a task within rounds is distributed as a task alone: dataset, group, number of classes, sizes") {
  constexpr int kTasks = 6000;
  for (const bool shared : {false, true}) {
    data::TaskOptions options = small_options();
    if (shared) options.share = {2.0, 1.0, 1.0};
    const data::TaskDistribution tasks(options, mixed(), 11);
    std::map<std::string, int> alone, within;
    for (std::uint32_t i = 0; i < kTasks; ++i) {
      const data::Task one = tasks.sample(0, i);
      const data::Task lane = tasks.sample(tasks.round(4, i), 6, i);
      for (const auto& [task, count] : {std::pair(&one, &alone), std::pair(&lane, &within)}) {
        const std::string name = std::to_string(task->dataset);
        ++(*count)["dataset " + name];
        ++(*count)["inputs " + name + " " + std::to_string(task->architecture.inputs())];
        ++(*count)["way " + name + " " + std::to_string(task->way())];
        ++(*count)["layers " + std::to_string(task->architecture.units.size())];
        ++(*count)["long " + std::to_string(task->inner_steps > 40 ? 1 : 0)];
        ++(*count)["first class " + name + " " + std::to_string(task->classes.front())];
      }
    }
    CHECK(alone.size() == within.size());
    for (const auto& [what, times] : alone) {
      INFO(what);
      // Five standard deviations of the difference of two counts.
      CHECK(std::abs(times - within[what]) < 5.0 * std::sqrt(2.0 * times) + 5.0);
    }
  }
}

TEST_CASE("rows of different numbers of columns are never side by side, of the same number they are") {
  const data::TaskDistribution tasks(small_options(), {{tables("d", 7), 1.0}, {tables("e", 8), 2.0}}, 3);
  std::map<std::int64_t, std::set<std::size_t>> datasets;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const data::Round round = tasks.round(0, i);
    const data::Task task = tasks.sample(round, 1, i);
    CHECK(task.architecture.inputs() == round.inputs);
    datasets[round.inputs].insert(task.dataset);
  }
  CHECK(datasets[7] == std::set<std::size_t>{0});
  CHECK(datasets[8] == std::set<std::size_t>{1});
  CHECK(datasets[9] == std::set<std::size_t>{0, 1});
}

}  // namespace
}  // namespace outerloop::tests
