// Computed tables: their columns, their classes, the split by world, and tasks of one world.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "common/data/class_split.h"
#include "common/data/dataset.h"
#include "common/data/tables.h"
#include "common/data/task.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

using data::ColumnKind;

std::shared_ptr<const data::Dataset> tables(data::ClassSplit classes) {
  return data::open_dataset({"tables", "", 14, classes, {}}, "");
}

/// Opened once for all cases.
const data::Dataset& all_tables() {
  static const std::shared_ptr<const data::Dataset> all = tables(data::ClassSplit::all);
  return *all;
}

std::vector<double> column_of(const data::TableWorld& world, std::size_t j) {
  std::vector<double> values;
  for (std::size_t i = j; i < world.values.size(); i += world.kinds.size()) values.push_back(world.values[i]);
  return values;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Variance between the class means over the variance within classes: about 20 / rows for an uninformative
/// column.
double signal(const data::TableWorld& world, std::size_t j) {
  const std::vector<double> values = column_of(world, j);
  std::vector<double> sum(data::kClassesPerWorld), count(data::kClassesPerWorld);
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum[static_cast<std::size_t>(world.labels[i])] += values[i];
    ++count[static_cast<std::size_t>(world.labels[i])];
  }
  const double mean = mean_of(values);
  double between = 0.0, within = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto label = static_cast<std::size_t>(world.labels[i]);
    const double of_class = sum[label] / count[label];
    between += (of_class - mean) * (of_class - mean);
    within += (values[i] - of_class) * (values[i] - of_class);
  }
  return within > 0.0 ? between / within : 0.0;
}

TEST_CASE("tables have the same bits on every machine") {
  CHECK(all_tables().sha256 == "387847077cb42b79ed31746e38f46083fc06743394aa1c94a5aa314370205b38");
  const data::TableWorld world = data::make_world(3), again = data::make_world(3);
  CHECK(world.values == again.values);
  CHECK(world.labels == again.labels);
  CHECK(data::make_world(4).values != world.values);
}

TEST_CASE("a hundred worlds of twenty classes, each with columns of its own") {
  const data::Dataset& all = all_tables();
  CHECK(all.size == 0);
  REQUIRE(all.groups.size() == 100);
  CHECK(all.classes() == 2000);
  CHECK(all.pixels.size() < (std::size_t{1} << 25));
  std::map<std::int32_t, int> classes;
  for (const std::int32_t group : all.group_of_class) ++classes[group];
  CHECK(classes.size() == 100);
  for (const auto& [group, count] : classes) CHECK(count == 20);
  std::int64_t narrow = 0, narrowest = 1000, widest = 0;
  for (const data::ClassGroup& group : all.groups) {
    narrow += group.inputs <= 40 ? 1 : 0;
    narrowest = std::min(narrowest, group.inputs);
    widest = std::max(widest, group.inputs);
  }
  CHECK((narrowest >= 8 && narrowest <= 10));
  CHECK((widest <= 200 && widest >= 180));
  CHECK(all.inputs == widest);
  CHECK(std::abs(narrow - 50) < 15);  // log-uniform: half of them below sqrt(8 · 200)
  std::set<std::size_t> sizes;
  for (const auto& rows : all.examples_of_class) {
    CHECK((rows.size() >= 64 && rows.size() <= 256));
    sizes.insert(rows.size());
  }
  CHECK(sizes.size() > 100);
}

/// Checks the properties of each kind of column.
void check_column(const data::TableWorld& world, std::size_t j) {
  std::vector<double> values = column_of(world, j);
  const double mean = mean_of(values);
  std::sort(values.begin(), values.end());
  const double smallest = values.front(), largest = values.back(), median = values[values.size() / 2];
  const std::size_t different = std::set<double>(values.begin(), values.end()).size();
  INFO("column " << j << " of kind " << static_cast<int>(world.kinds[j]));
  switch (world.kinds[j]) {
    case ColumnKind::linear:
    case ColumnKind::two_tailed:
    case ColumnKind::bounded:
      CHECK(different > values.size() / 2);
      CHECK((smallest < 0.0 && largest > 0.0));
      break;
    case ColumnKind::skewed:
      CHECK(smallest > 0.0);
      CHECK(mean > median);
      break;
    case ColumnKind::binary:
    case ColumnKind::category:
      CHECK(different <= 2);
      break;
    case ColumnKind::sparse:
      CHECK(smallest == 0.0);
      CHECK(std::count(values.begin(), values.end(), 0.0) > static_cast<std::ptrdiff_t>(values.size() / 4));
      break;
    case ColumnKind::stepped:
      CHECK((different > 3 && different < 300));
      break;
  }
}

/// The largest distance from the median, in quartiles' distances.
double reach(const data::TableWorld& world, std::size_t j) {
  std::vector<double> values = column_of(world, j);
  std::sort(values.begin(), values.end());
  const auto at = [&](std::size_t quarter) { return values[quarter * (values.size() - 1) / 4]; };
  return std::max(at(4) - at(2), at(2) - at(0)) / (at(3) - at(1));
}

TEST_CASE("columns are of every kind, of many scales, and some say nothing") {
  std::map<ColumnKind, int> kinds;
  int columns = 0, useless = 0, mostly_one_kind = 0;
  double heavy = 0.0, light = 0.0;  // sums of logarithms
  for (std::uint32_t number = 0; number < 30; ++number) {
    const data::TableWorld world = data::make_world(number);
    std::map<ColumnKind, std::size_t> own;
    for (std::size_t j = 0; j < world.kinds.size(); ++j) {
      check_column(world, j);
      ++kinds[world.kinds[j]];
      ++own[world.kinds[j]];
      ++columns;
      useless += signal(world, j) < 3.0 * 20.0 / static_cast<double>(world.labels.size()) ? 1 : 0;
      if (world.kinds[j] == ColumnKind::two_tailed) heavy += std::log(reach(world, j));
      if (world.kinds[j] == ColumnKind::bounded) light += std::log(reach(world, j));
    }
    for (const auto& [kind, count] : own) mostly_one_kind += 2 * count > world.kinds.size() ? 1 : 0;
  }
  REQUIRE(kinds.size() == data::kColumnKinds);
  for (const auto& [kind, count] : kinds) CHECK(count > columns / 50);
  CHECK(heavy / kinds[ColumnKind::two_tailed] > light / kinds[ColumnKind::bounded] + 2.0);
  CHECK((useless > columns / 10 && useless < columns / 2));
  CHECK((mostly_one_kind > 3 && mostly_one_kind < 27));
}

TEST_CASE("of a category's neighbouring columns exactly one is not zero") {
  int categories = 0;
  for (std::uint32_t number = 0; number < 30; ++number) {
    const data::TableWorld world = data::make_world(number);
    const auto is_category = [&](std::size_t j) {
      return j < world.kinds.size() && world.kinds[j] == ColumnKind::category;
    };
    for (std::size_t j = 0; j < world.kinds.size(); ++j) {
      // At the start of a run of category columns: counts each row's non-zero entries in the run.
      if (!is_category(j) || is_category(j - 1)) continue;
      std::size_t end = j;
      while (is_category(end)) ++end;
      ++categories;
      std::set<std::ptrdiff_t> set_columns;
      for (std::size_t row = 0; row < world.labels.size(); ++row) {
        const auto first = world.values.begin() + static_cast<std::ptrdiff_t>(row * world.kinds.size() + j);
        set_columns.insert((end - j) - static_cast<std::size_t>(std::count(first, first + (end - j), 0.0)));
      }
      // The number of categories in the run, equal in every row.
      CHECK(set_columns.size() == 1);
      CHECK((*set_columns.begin() >= 1 && 6 * *set_columns.begin() >= static_cast<std::ptrdiff_t>(end - j)));
    }
  }
  CHECK(categories > 30);
}

/// Accuracy of nearest mean on bytes, 5 classes of 10 labelled rows, over some draws.
double nearest_mean(const data::Dataset& dataset, const std::vector<std::int32_t>& classes,
                    std::uint32_t world) {
  constexpr std::int32_t kWay = 5, kShots = 10, kDraws = 8, kTested = 40;
  const auto columns = static_cast<std::size_t>(dataset.inputs_of(classes.front()));
  double right = 0.0;
  for (std::int32_t draw = 0; draw < kDraws; ++draw) {
    const rule::Random random(1, world, static_cast<std::uint32_t>(draw), rule::Purpose::test);
    const auto chosen = random.sample(static_cast<std::int32_t>(classes.size()), kWay);
    std::vector<std::vector<double>> means(kWay, std::vector<double>(columns));
    const auto row_of = [&](std::int32_t c, std::int32_t i) {
      const auto label =
          static_cast<std::size_t>(classes[static_cast<std::size_t>(chosen[static_cast<std::size_t>(c)])]);
      return dataset.example(dataset.examples_of_class[label][static_cast<std::size_t>(i)]);
    };
    for (std::int32_t c = 0; c < kWay; ++c)
      for (std::int32_t i = 0; i < kShots; ++i)
        for (std::size_t j = 0; j < columns; ++j)
          means[static_cast<std::size_t>(c)][j] += row_of(c, i)[j] / static_cast<double>(kShots);
    for (std::int32_t c = 0; c < kWay; ++c)
      for (std::int32_t i = kShots; i < kShots + kTested; ++i) {
        std::vector<double> distances;
        for (const std::vector<double>& mean : means) {
          distances.push_back(0.0);
          for (std::size_t j = 0; j < columns; ++j)
            distances.back() += (row_of(c, i)[j] - mean[j]) * (row_of(c, i)[j] - mean[j]);
        }
        right += std::min_element(distances.begin(), distances.end()) - distances.begin() == c ? 1.0 : 0.0;
      }
  }
  return right / (kDraws * kWay * kTested);
}

TEST_CASE("a world's classes are told apart better than by chance, and mostly not all") {
  const data::Dataset& all = all_tables();
  std::vector<double> accuracies;
  const auto worlds = all.classes_with(64);
  REQUIRE(worlds.size() == 100);
  for (std::uint32_t world = 0; world < worlds.size(); ++world) {
    accuracies.push_back(nearest_mean(all, worlds[world], world));
    INFO("world " << world);
    CHECK(accuracies.back() > 0.22);  // chance is 0.2, with a standard error of 0.01
  }
  std::sort(accuracies.begin(), accuracies.end());
  CHECK((accuracies[50] > 0.45 && accuracies[50] < 0.7));
  CHECK(accuracies[20] < 0.5);
  CHECK(accuracies[80] > 0.7);
  CHECK(accuracies[95] < 0.99);
}

TEST_CASE("whole worlds are held out, about one in five") {
  const auto train = tables(data::ClassSplit::train), held_out = tables(data::ClassSplit::held_out);
  const data::Dataset& all = all_tables();
  std::set<std::string> seen;
  for (const auto& side : {train, held_out})
    for (std::size_t label = 0; label < side->class_names.size(); ++label) {
      const std::string& group = data::split_name(*side, label);
      CHECK(data::is_held_out(group) == (side == held_out));
      CHECK(side->class_names[label].substr(0, group.size() + 1) == group + "/");
      seen.insert(side->class_names[label]);
    }
  CHECK(seen.size() == 2000);
  CHECK(train->classes() + held_out->classes() == 2000);
  CHECK(held_out->classes() % 20 == 0);
  CHECK(std::abs(held_out->classes() / 20 - 20) <= 3);
  CHECK(train->sha256 != all.sha256);
  // A held-out row has the same bytes as in the whole dataset.
  const std::string& name = held_out->class_names[30];
  const auto place = static_cast<std::size_t>(
      std::find(all.class_names.begin(), all.class_names.end(), name) - all.class_names.begin());
  const std::int64_t columns = held_out->inputs_of(30);
  REQUIRE(all.inputs_of(static_cast<std::int32_t>(place)) == columns);
  REQUIRE(all.examples_of_class[place].size() == held_out->examples_of_class[30].size());
  for (std::size_t i = 0; i < held_out->examples_of_class[30].size(); ++i)
    CHECK(std::equal(held_out->example(held_out->examples_of_class[30][i]),
                     held_out->example(held_out->examples_of_class[30][i]) + columns,
                     all.example(all.examples_of_class[place][i])));
}

data::TaskOptions wide_options() {
  data::TaskOptions options;
  options.way = {5, 16};
  options.subclasses = {1, 2};
  options.labelled_per_class = 30;
  options.sizes.minibatch = 128;
  options.output_units = 8;
  options.sizes.hidden_layers = {1, 2};
  options.sizes.width = {8, 8};
  options.sizes.inner_steps = {10, 100};
  return options;
}

TEST_CASE("a task's classes and columns are those of one world") {
  const auto held_out = tables(data::ClassSplit::held_out);
  const data::TaskDistribution tasks(wide_options(), {{held_out, 1.0}}, 3);
  std::map<std::int32_t, int> worlds;
  for (std::uint32_t index = 0; index < 1000; ++index) {
    const data::Task task = tasks.sample(0, index);
    const auto world_of = [&](std::int32_t label) {
      return held_out->group_of_class[static_cast<std::size_t>(label)];
    };
    const std::int32_t world = world_of(task.classes.front());
    for (const std::int32_t label : task.classes) CHECK(world_of(label) == world);
    CHECK(task.side == 0);
    CHECK(task.architecture.inputs() == held_out->groups[static_cast<std::size_t>(world)].inputs);
    CHECK(static_cast<std::int64_t>(task.permutation.size()) == task.architecture.inputs());
    ++worlds[world];
  }
  const int count = static_cast<int>(held_out->classes() / 20);
  CHECK(static_cast<int>(worlds.size()) == count);
  for (const auto& [world, times] : worlds) CHECK(std::abs(times - 1000 / count) < 40);
}

TEST_CASE("minibatches of tables are rows of the task's world") {
  const auto held_out = tables(data::ClassSplit::held_out);
  const data::TaskDistribution tasks(wide_options(), {{held_out, 1.0}}, 3);
  for (std::uint32_t index = 0; index < 8; ++index) {
    const data::Task task = tasks.sample(1, index);
    const std::int64_t inputs = task.architecture.inputs();
    const rule::StepData step = tasks.step_data(task, 2);
    CHECK(step.inner.examples == 128);
    CHECK(step.a.examples == 30 * task.way());
    CHECK(step.b.examples == step.a.examples);
    for (const rule::Batch* batch : {&step.inner, &step.a, &step.b}) {
      REQUIRE(batch->inputs == inputs);
      REQUIRE(batch->x.size() == static_cast<std::size_t>(batch->examples * inputs));
      REQUIRE(batch->targets == task.way());
    }
    // The first row of every class is one of its examples.
    for (std::int64_t c = 0; c < task.way(); ++c) {
      const double* x = step.a.x.data() + 30 * c * inputs;
      bool found = false;
      for (std::int64_t s = 0; s < task.subclasses; ++s)
        for (const std::int32_t example : held_out->examples_of_class[static_cast<std::size_t>(
                 task.classes[static_cast<std::size_t>(c * task.subclasses + s)])]) {
          const std::uint8_t* row = held_out->example(example);
          bool same = true;
          for (std::int64_t i = 0; i < inputs; ++i)
            same = same && std::lround(255.0 * x[i]) == row[task.permutation[static_cast<std::size_t>(i)]];
          found = found || same;
        }
      CHECK(found);
    }
  }
}

TEST_CASE("groups with too few classes are passed over, and a dataset of none but those is refused") {
  auto few = std::make_shared<data::Dataset>(*tables(data::ClassSplit::held_out));
  const std::int32_t kept =
      few->group_of_class[25];  // all other worlds lose their examples but for 4 classes
  std::map<std::int32_t, int> seen;
  for (std::size_t label = 0; label < few->class_names.size(); ++label)
    if (few->group_of_class[label] != kept && ++seen[few->group_of_class[label]] > 4)
      few->examples_of_class[label].clear();
  const data::TaskDistribution tasks(wide_options(), {{few, 1.0}}, 3);
  for (std::uint32_t index = 0; index < 50; ++index)
    CHECK(few->group_of_class[static_cast<std::size_t>(tasks.sample(0, index).classes[0])] == kept);
  for (std::size_t label = 0; label < few->class_names.size(); ++label)
    if (few->group_of_class[label] == kept && ++seen[kept] > 3) few->examples_of_class[label].clear();
  holds(refusal([&] {
          data::TaskDistribution(wide_options(), {{few, 1.0}}, 3);
        }),
        "tables: 4 classes with 60 examples");
}

TEST_CASE("tables are computed: a path is refused") {
  holds(refusal([&] { data::open_dataset({"tables", "/somewhere", 14, {}, {}}, ""); }), "leave it out");
}

}  // namespace
}  // namespace outerloop::tests
