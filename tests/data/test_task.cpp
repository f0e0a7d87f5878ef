// The task distribution.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "common/base/error.h"
#include "common/data/resize.h"
#include "common/data/task.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/data/files.h"
#include "tests/data/task_examples.h"

namespace outerloop::tests {
namespace {

TEST_CASE("tasks are a pure function of seed, stream and index") {
  const auto data = dataset("d", 10, 20);
  const data::TaskDistribution tasks(small_options(), {{data, 1.0}}, 7);
  const data::TaskDistribution again(small_options(), {{data, 1.0}}, 7);
  const data::TaskDistribution other(small_options(), {{data, 1.0}}, 8);
  const data::Task late = again.sample(3, 11);  // asked for out of order
  for (std::uint32_t index = 0; index < 12; ++index) {
    const data::Task task = tasks.sample(3, index);
    CHECK(task.stream == 3);
    CHECK(task.index == index);
    CHECK(equal(task, again.sample(3, index)));
    CHECK(!equal(task, tasks.sample(4, index)));
    CHECK(!equal(task, tasks.sample(3, index + 1)));
    CHECK(!equal(task, other.sample(3, index)));
    if (index == 11) CHECK(equal(task, late));
  }
}

TEST_CASE("every draw stays in its range and reaches both ends") {
  data::TaskOptions options = small_options();
  options.invert_probability = 0.3;
  options.gain_jitter = 0.5;
  const data::TaskDistribution tasks(options, {{dataset("d", 10, 20), 1.0}}, 1);
  std::map<std::int64_t, int> ways, depths, widths;
  std::set<std::int32_t> classes;
  int inverted = 0;
  int short_tasks = 0;
  double lowest = 9.0;
  double highest = 0.0;
  constexpr int kTasks = 3000;
  for (std::uint32_t i = 0; i < kTasks; ++i) {
    const data::Task task = tasks.sample(0, i);
    ++ways[static_cast<std::int64_t>(task.classes.size())];
    classes.insert(task.classes.begin(), task.classes.end());
    CHECK(std::set<std::int32_t>(task.classes.begin(), task.classes.end()).size() == task.classes.size());
    const auto& units = task.architecture.units;
    ++depths[static_cast<std::int64_t>(units.size()) - 2];
    for (std::size_t l = 1; l + 1 < units.size(); ++l) {
      CHECK(units[l] == units[1]);
      ++widths[units[l]];
    }
    CHECK(units.front() == 9);
    CHECK(units.back() == 6);
    CHECK((task.inner_steps >= 10 && task.inner_steps <= 100));
    short_tasks += task.inner_steps <= 31 ? 1 : 0;
    inverted += task.inverted ? 1 : 0;
    lowest = std::min(lowest, task.gain);
    highest = std::max(highest, task.gain);
    auto order = task.permutation;
    std::sort(order.begin(), order.end());
    std::vector<std::int32_t> identity(9);
    std::iota(identity.begin(), identity.end(), 0);
    CHECK(order == identity);
  }
  CHECK(ways.size() == 3);
  CHECK((ways.begin()->first == 3 && ways.rbegin()->first == 5));
  for (const auto& [way, count] : ways) CHECK(std::abs(count - kTasks / 3) < 150);
  CHECK((depths.size() == 3 && depths.begin()->first == 1 && depths.rbegin()->first == 3));
  CHECK((widths.size() == 4 && widths.begin()->first == 8 && widths.rbegin()->first == 11));
  CHECK(classes.size() == 10);
  CHECK(std::abs(inverted - 900) < 130);
  // Log-uniform: P(steps <= 31) = log(32 / 10) / log(101 / 10).
  CHECK(std::abs(short_tasks - kTasks * std::log(3.2) / std::log(10.1)) < 130);
  CHECK((lowest > std::exp(-0.5) - 1e-9 && lowest < std::exp(-0.48)));
  CHECK((highest < std::exp(0.5) + 1e-9 && highest > std::exp(0.48)));
}

TEST_CASE("the first tasks of every stream have base models, minibatches and lengths of their own") {
  data::TaskOptions options = small_options();
  const data::TaskDistribution plain(options, {{dataset("d", 10, 20), 1.0}}, 1);
  options.first = {3, {7, {0, 0}, {5, 5}, {2, 2}}};
  const data::TaskDistribution tasks(options, {{dataset("d", 10, 20), 1.0}}, 1);
  for (std::uint32_t stream = 0; stream < 20; ++stream)
    for (std::uint32_t index = 0; index < 6; ++index) {
      const data::Task task = tasks.sample(stream, index), later = plain.sample(stream, index);
      CHECK(task.classes == later.classes);
      if (index >= 3) {
        CHECK(equal(task, later));
        CHECK(tasks.step_data(task, 1).inner.x == plain.step_data(later, 1).inner.x);
        continue;
      }
      CHECK(task.architecture.units == std::vector<std::int64_t>{9, 6});
      CHECK(task.inner_steps == 2);
      CHECK(tasks.step_data(task, 1).inner.examples == 7);
      CHECK(plain.step_data(later, 1).inner.examples == options.sizes.minibatch);
    }
  options.first.sizes.hidden_layers = {2, 2};
  const data::TaskDistribution deep(options, {{dataset("d", 10, 20), 1.0}}, 1);
  CHECK(deep.sample(4, 2).architecture.units == std::vector<std::int64_t>{9, 5, 5, 6});
  CHECK(deep.sample(4, 3).architecture.units == plain.sample(4, 3).architecture.units);
}

TEST_CASE("datasets are drawn by weight, and an output of zero units takes the way") {
  data::TaskOptions options = small_options();
  options.output_units = 0;
  const data::TaskDistribution tasks(
      options,
      {{dataset("a", 10, 20, 9), 1.0}, {dataset("b", 6, 20, 16), 2.5}, {dataset("c", 5, 20, 4), 0.5}}, 2);
  std::map<std::size_t, int> count;
  for (std::uint32_t i = 0; i < 4000; ++i) {
    const data::Task task = tasks.sample(1, i);
    ++count[task.dataset];
    const auto inputs = tasks.datasets()[task.dataset].dataset->inputs;
    CHECK(task.architecture.inputs() == inputs);
    CHECK(static_cast<std::int64_t>(task.permutation.size()) == inputs);
    CHECK(task.architecture.outputs() == static_cast<std::int64_t>(task.classes.size()));
  }
  CHECK(std::abs(count[0] - 1000) < 110);
  CHECK(std::abs(count[1] - 2500) < 125);
  CHECK(std::abs(count[2] - 500) < 85);
}

TEST_CASE("minibatches hold permuted examples of the task's classes with their labels") {
  data::TaskOptions options = small_options();
  options.invert_probability = 0.5;
  options.gain_jitter = 0.7;
  const data::TaskDistribution tasks(options, {{dataset("d", 10, 20), 1.0}}, 3);
  for (std::uint32_t index = 0; index < 20; ++index) {
    const data::Task task = tasks.sample(0, index);
    const auto way = static_cast<std::int64_t>(task.classes.size());
    const rule::StepData step = tasks.step_data(task, index);
    CHECK(step.inner.examples == 16);
    CHECK(step.a.examples == 4 * way);
    CHECK(step.b.examples == 4 * way);
    std::multiset<int> labelled;
    for (const rule::Batch* batch : {&step.inner, &step.a, &step.b}) {
      CHECK(batch->inputs == 9);
      CHECK(batch->targets == way);
      REQUIRE(batch->x.size() == static_cast<std::size_t>(batch->examples * 9));
      REQUIRE(batch->y.size() == static_cast<std::size_t>(batch->examples * way));
      for (std::int64_t row = 0; row < batch->examples; ++row) {
        const auto y = batch->y.begin() + row * way;
        CHECK(std::count(y, y + way, 1.0) == 1);
        CHECK(std::count(y, y + way, 0.0) == way - 1);
        const auto label = static_cast<std::size_t>(std::find(y, y + way, 1.0) - y);
        CHECK(pixel_of(task, *batch, row, 1) == task.classes[label]);
        for (std::int32_t p = 2; p < 9; ++p) CHECK(pixel_of(task, *batch, row, p) == 10 * p);
        if (batch != &step.inner) {
          CHECK(label == static_cast<std::size_t>(row / 4));
          labelled.insert(pixel_of(task, *batch, row, 0));
        }
      }
    }
    // a and b share no example, and neither contains duplicates.
    CHECK(std::set<int>(labelled.begin(), labelled.end()).size() == static_cast<std::size_t>(8 * way));
  }
}

TEST_CASE("a dataset with fewer classes than max_way gives tasks of as many as it has") {
  data::TaskOptions options = small_options();
  options.way = {4, 9};
  const data::TaskDistribution tasks(options, {{dataset("few", 5, 20), 1.0}, {dataset("many", 12, 20), 1.0}},
                                     6);
  std::array<std::set<std::int64_t>, 2> ways;
  for (std::uint32_t index = 0; index < 300; ++index) {
    const data::Task task = tasks.sample(0, index);
    ways[task.dataset].insert(task.way());
  }
  CHECK(ways[0] == std::set<std::int64_t>{4, 5});
  CHECK(ways[1] == std::set<std::int64_t>{4, 5, 6, 7, 8, 9});
}

TEST_CASE("a class of a task is the union of so many of the dataset's") {
  data::TaskOptions options = small_options();
  options.subclasses = {1, 3};
  const data::TaskDistribution tasks(options, {{dataset("d", 10, 20), 1.0}}, 6);
  std::map<std::int64_t, std::int64_t> most;  // subclasses seen with each way
  for (std::uint32_t index = 0; index < 200; ++index) {
    const data::Task task = tasks.sample(0, index);
    const std::int64_t way = task.way(), parts = task.subclasses;
    REQUIRE(static_cast<std::int64_t>(task.classes.size()) == way * parts);
    CHECK((way >= 3 && way <= 5));
    CHECK(std::set<std::int32_t>(task.classes.begin(), task.classes.end()).size() == task.classes.size());
    most[way] = std::max(most[way], parts);
    const rule::StepData step = tasks.step_data(task, index);
    std::set<std::int32_t> inner;
    for (const rule::Batch* batch : {&step.inner, &step.a, &step.b}) {
      REQUIRE(batch->targets == way);
      for (std::int64_t row = 0; row < batch->examples; ++row) {
        const auto y = batch->y.begin() + row * way;
        const auto label = std::find(y, y + way, 1.0) - y;
        const auto first = task.classes.begin() + label * parts;
        const int shown = pixel_of(task, *batch, row, 1);
        CHECK(std::find(first, first + parts, shown) != first + parts);
        if (batch == &step.inner) inner.insert(shown);
      }
    }
    std::set<int> labelled;
    for (const rule::Batch* batch : {&step.a, &step.b})
      for (std::int64_t row = 0; row < batch->examples; ++row)
        labelled.insert(pixel_of(task, *batch, row, 0));
    CHECK(static_cast<std::int64_t>(labelled.size()) == 8 * way);
    if (parts > 1) CHECK(static_cast<std::int64_t>(inner.size()) > way);
  }
  // Ten classes are enough for three in each of three, not for three in each of four or five.
  CHECK(most == std::map<std::int64_t, std::int64_t>{{3, 3}, {4, 2}, {5, 2}});
}

TEST_CASE("the labelled minibatches stay disjoint where a class has exactly enough examples") {
  const data::TaskDistribution tasks(small_options(), {{dataset("d", 5, 8), 1.0}}, 4);
  const data::Task task = tasks.sample(0, 0);
  for (std::int64_t t = 0; t < 50; ++t) {
    const rule::StepData step = tasks.step_data(task, t);
    std::set<int> rows;
    for (const rule::Batch* batch : {&step.a, &step.b})
      for (std::int64_t row = 0; row < batch->examples; ++row) rows.insert(pixel_of(task, *batch, row, 0));
    CHECK(rows.size() == 8 * task.classes.size());
  }
}

TEST_CASE("steps are independent of one another and repeat exactly") {
  const data::TaskDistribution tasks(small_options(), {{dataset("d", 10, 20), 1.0}}, 5);
  const data::Task task = tasks.sample(2, 9);
  std::set<std::vector<double>> inner, a, b;
  for (std::int64_t t = 0; t < 200; ++t) {
    const rule::StepData step = tasks.step_data(task, t);
    CHECK(step.inner.x == tasks.step_data(task, t).inner.x);
    inner.insert(step.inner.x);
    a.insert(step.a.x);
    b.insert(step.b.x);
  }
  CHECK(inner.size() == 200);
  CHECK(a.size() == 200);
  CHECK(b.size() == 200);
}

TEST_CASE("the inner minibatch is uniform over the examples of the task's classes") {
  data::TaskOptions options = small_options();
  options.way = {3, 3};
  const data::TaskDistribution tasks(options, {{dataset("d", 3, 20), 1.0}}, 6);
  const data::Task task = tasks.sample(0, 0);
  std::vector<int> count(60);
  for (std::int64_t t = 0; t < 1500; ++t) {
    const rule::Batch inner = tasks.step_data(task, t).inner;
    for (std::int64_t row = 0; row < 16; ++row)
      ++count[static_cast<std::size_t>(pixel_of(task, inner, row, 0))];
  }
  double chi_square = 0.0;
  for (const int c : count) chi_square += (c - 400.0) * (c - 400.0) / 400.0;
  CHECK(chi_square < 110.0);  // 59 degrees of freedom: exceeded once in 10^4 seeds
  CHECK(chi_square > 25.0);
}

TEST_CASE("classes with fewer than 2K examples are never sampled") {
  auto uneven = std::make_shared<data::Dataset>(*dataset("d", 8, 20));
  uneven->examples_of_class[2].resize(7);
  uneven->examples_of_class[5].clear();
  const data::TaskDistribution tasks(small_options(), {{uneven, 1.0}}, 6);
  std::set<std::int32_t> seen;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const data::Task task = tasks.sample(0, i);
    seen.insert(task.classes.begin(), task.classes.end());
  }
  CHECK(seen == std::set<std::int32_t>{0, 1, 3, 4, 6, 7});
}

TEST_CASE("options and datasets that give no tasks are refused") {
  const auto good = dataset("good", 10, 20);
  const auto message = [&](const std::function<void(data::TaskOptions&)>& change) {
    data::TaskOptions options = small_options();
    change(options);
    return refusal([&] { data::TaskDistribution(options, {{good, 1.0}}, 0); });
  };
  holds(message([](auto& o) { o.way = {2, 5}; }), "two classes give the meta-objective no gradient");
  holds(message([](auto& o) { o.way = {5, 4}; }), "tasks.min_way = 5, tasks.max_way = 4: allowed are rising");
  holds(message([](auto& o) { o.subclasses = {0, 0}; }), "tasks.min_subclasses = 0");
  holds(message([](auto& o) { o.way = {11, 12}; }), "good: 10 classes with 8 examples");
  holds(message([](auto& o) { o.labelled_per_class = 11; }), "good: 0 classes with 22 examples");
  holds(message([](auto& o) { o.labelled_per_class = 0; }), "tasks.labelled_per_class: 0, allowed is 1 to");
  holds(message([](auto& o) { o.sizes.minibatch = 0; }), "tasks.minibatch: 0");
  holds(message([](auto& o) { o.sizes.hidden_layers = {-1, 2}; }), "tasks.min_hidden_layers = -1");
  holds(message([](auto& o) { o.sizes.width = {0, 2}; }), "tasks.min_width = 0");
  holds(message([](auto& o) { o.output_units = -1; }), "rule.output_units: -1");
  holds(message([](auto& o) { o.sizes.inner_steps = {0, 2}; }), "tasks.min_inner_steps = 0");
  holds(message([](auto& o) { o.sizes.inner_steps = {1, std::int64_t{1} << 40}; }), "tasks.max_inner_steps");
  holds(message([](auto& o) { o.smallest_side = -1; }), "tasks.min_size: -1");
  holds(message([](auto& o) { o.words = {5, 4}; }), "tasks.min_words = 5, tasks.max_words = 4");
  holds(message([](auto& o) { o.permute_probability = 1.1; }), "tasks.permute_probability");
  holds(message([](auto& o) { o.invert_probability = 1.5; }), "tasks.invert_probability");
  holds(message([](auto& o) { o.gain_jitter = std::nan(""); }), "tasks.gain_jitter");
  holds(message([](auto& o) { o.first.tasks = -1; }), "tasks.first.tasks: -1");
  holds(message([](auto& o) { o.first = {1, {0, {1, 2}, {8, 9}, {1, 2}}}; }), "tasks.first.minibatch: 0");
  holds(message([](auto& o) { o.first = {1, {8, {1, 2}, {9, 8}, {1, 2}}}; }), "tasks.first.max_width = 8");
  holds(refusal([&] { data::TaskDistribution({}, {{good, 1.0}}, 0); }), "tasks.min_way = 0");
  holds(refusal([&] { data::TaskDistribution(small_options(), {}, 0); }), "no dataset");
  for (const double weight : {0.0, -1.0, std::nan(""), HUGE_VAL})
    holds(refusal([&] { data::TaskDistribution(small_options(), {{good, weight}}, 0); }), "weight");
}

TEST_CASE("a step beyond the random numbers of a task is an error, not a repetition") {
  const data::TaskDistribution tasks(small_options(), {{dataset("d", 10, 20), 1.0}}, 5);
  data::Task task = tasks.sample(0, 0);
  const auto labelled = static_cast<std::int64_t>(8 * task.classes.size());
  const std::int64_t last = (std::int64_t{1} << 32) / labelled - 1;
  CHECK(tasks.step_data(task, last).a.examples == labelled / 2);
  CHECK_THROWS_AS(tasks.step_data(task, last + 1), Error);
  CHECK_THROWS_AS(tasks.step_data(task, std::int64_t{1} << 40), Error);
  CHECK_THROWS_AS(tasks.step_data(task, -1), Error);
}

TEST_CASE("images of a task are of any size in the range, resized by area") {
  const auto large = dataset("d", 10, 20, 36);
  data::TaskOptions options = small_options();
  options.smallest_side = 3;
  const data::TaskDistribution tasks(options, {{large, 1.0}}, 1);
  std::map<std::int64_t, int> sides;
  for (std::uint32_t i = 0; i < 400; ++i) {
    const data::Task task = tasks.sample(0, i);
    const auto side = task.side;
    if (sides[side]++ > 0) continue;
    CHECK(task.architecture.inputs() == side * side);
    const rule::Batch batch = tasks.step_data(task, 0).a;
    REQUIRE(batch.inputs == side * side);
    data::AreaResize resize(side, side);
    Bytes expected(static_cast<std::size_t>(side * side));
    for (std::int64_t row = 0; row < batch.examples; ++row) {
      bool found = false;
      for (const std::int32_t example : large->examples_of_class[static_cast<std::size_t>(
               task.classes[static_cast<std::size_t>(row / 4)])]) {
        resize({large->pixels.data() + 36 * example, 6, 6, 6}, expected.data());
        bool same = true;
        for (std::int32_t p = 0; p < side * side; ++p)
          same = same && pixel_of(task, batch, row, p) == expected[static_cast<std::size_t>(p)];
        found = found || same;
      }
      CHECK(found);
    }
  }
  CHECK(sides.size() == 4);
  CHECK((sides.begin()->first == 3 && sides.rbegin()->first == 6));
  for (const auto& [side, count] : sides) CHECK(std::abs(count - 100) < 40);
}

TEST_CASE("a share of tasks is permuted; the number of steps may be uniform") {
  data::TaskOptions options = small_options();
  options.permute_probability = 0.3;
  options.inner_steps_uniform = true;
  const data::TaskDistribution tasks(options, {{dataset("d", 10, 20, 16), 1.0}}, 1);
  std::vector<std::int32_t> identity(16);
  std::iota(identity.begin(), identity.end(), 0);
  int permuted = 0, short_tasks = 0;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const data::Task task = tasks.sample(0, i);
    permuted += task.permutation == identity ? 0 : 1;
    short_tasks += task.inner_steps <= 31 ? 1 : 0;
    CHECK((task.inner_steps >= 10 && task.inner_steps <= 100));
  }
  CHECK(std::abs(permuted - 600) < 90);
  CHECK(std::abs(short_tasks - 2000 * 22 / 91) < 90);
}

TEST_CASE("with a random offset streams begin in the middle of their first task") {
  data::TaskOptions options = small_options();
  const data::TaskDistribution together(options, {{dataset("d", 10, 20), 1.0}}, 1);
  options.random_offset = true;
  const data::TaskDistribution apart(options, {{dataset("d", 10, 20), 1.0}}, 1);
  double share = 0.0;
  constexpr std::uint32_t kStreams = 600;
  for (std::uint32_t stream = 0; stream < kStreams; ++stream) {
    const auto whole = together.sample(stream, 0).inner_steps, cut = apart.sample(stream, 0).inner_steps;
    CHECK((1 <= cut && cut <= whole));
    share += static_cast<double>(cut) / static_cast<double>(whole) / kStreams;
    CHECK(equal(together.sample(stream, 1), apart.sample(stream, 1)));
  }
  CHECK(std::abs(share - 0.52) < 0.05);
}

/// Two classes whose score is that of the row.
std::shared_ptr<const data::Dataset> scored() {
  auto result = std::make_shared<data::Dataset>(*dataset("texts", 2, 20, 9));
  result->size = 0;
  for (int row = 0; row < 40; ++row) result->scores.push_back(static_cast<float>(row) / 40.0f - 0.4f);
  return result;
}

TEST_CASE("two classes with a score train with the score as a further target") {
  const data::TaskDistribution tasks(small_options(), {{scored(), 1.0}}, 3);
  const data::Task task = tasks.sample(0, 0);
  REQUIRE(task.classes.size() == 2);
  const rule::StepData step = tasks.step_data(task, 0);
  CHECK(step.inner.targets == 2);  // invisible to the rule
  for (const rule::Batch* batch : {&step.a, &step.b}) {
    REQUIRE(batch->targets == 3);
    for (std::int64_t row = 0; row < batch->examples; ++row) {
      const double* y = batch->y.data() + 3 * row;
      CHECK(y[row / 4] == 1.0);
      CHECK(y[1 - row / 4] == 0.0);
      const int example = pixel_of(task, *batch, row, 0);
      CHECK(y[2] == Approx(0.5 + static_cast<double>(example) / 40.0 - 0.4));
    }
  }
  data::TaskOptions supervised = small_options();
  supervised.output_units = 0;
  const data::TaskDistribution classes_alone(supervised, {{scored(), 1.0}}, 3);
  CHECK(classes_alone.step_data(classes_alone.sample(0, 0), 0).b.targets == 2);
  auto one_class = std::make_shared<data::Dataset>(*scored());
  one_class->examples_of_class[1].clear();
  holds(refusal([&] { data::TaskDistribution(small_options(), {{one_class, 1.0}}, 0); }), "needs at least 2");
}

}  // namespace
}  // namespace outerloop::tests
