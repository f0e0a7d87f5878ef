// Streams: tasks follow one another, and a stream goes on from its state as if nothing had happened.
#include <algorithm>
#include <cmath>

#include "common/base/error.h"
#include "tests/catch.h"
#include "tests/toy_engine.h"
#include "worker/stream.h"

using namespace outerloop;
using worker::Stream;

namespace {

store::StreamState beginning(std::uint32_t stream) {
  store::StreamState state;
  state.stream = stream;
  return state;
}

}  // namespace

TEST_CASE("a stream runs each task to its number of steps, then begins the next") {
  tests::ToyEngine engine(2);
  const auto tasks = tests::toy_tasks(1);
  Stream stream({engine, tasks, 1, 2, 4}, beginning(3));
  std::int64_t step = 0;
  std::uint32_t task = 0;
  for (int i = 0; i < 60; ++i) {
    const auto done = stream.advance({0.0, 0.0}, 0);
    CHECK(done.task == task);
    CHECK(done.step == step);
    CHECK(done.length >= 1);
    CHECK(done.length <= 4);
    step += done.length;
    const auto length = tasks.sample(3, task).inner_steps;
    CHECK(step <= length);
    if (step == length) {
      step = 0;
      ++task;
    }
    CHECK(stream.state().task == task);
    CHECK(stream.state().step == step);
  }
  CHECK(task >= 10);
}

TEST_CASE("a stream that goes on from its state repeats what the unbroken one does") {
  tests::ToyEngine engine(2);
  const auto tasks = tests::toy_tasks(1);
  const worker::StreamContext context{engine, tasks, 1, 1, 3};
  Stream unbroken(context, beginning(0));
  for (int i = 0; i < 25; ++i) {
    Stream resumed(context, unbroken.state());
    const auto a = unbroken.advance({0.5, 0.5}, 0);
    const auto b = resumed.advance({0.5, 0.5}, 0);
    CHECK(a.length == b.length);
    CHECK(unbroken.state().lanes.at(0).phi == resumed.state().lanes.at(0).phi);
    CHECK(unbroken.state().task == resumed.state().task);
    CHECK(unbroken.state().truncation == resumed.state().truncation);
  }
}

TEST_CASE("a stream of persistent evolution goes on from its state, and begins each task without noise") {
  tests::ToyEngine engine(2);
  const auto tasks = tests::toy_tasks(1);
  const worker::StreamContext context{
      engine, tasks, 1, 1, 3, {}, {rule::EstimatorKind::persistent_evolution, 0.1, 2, 0.0}};
  Stream unbroken(context, beginning(0));
  std::uint32_t task = 0;
  for (int i = 0; i < 25; ++i) {
    const auto before = unbroken.state();
    CHECK(before.lanes.at(0).pairs.size() == (before.truncation == 0 ? 0u : 2u));
    Stream resumed(context, before);
    const auto a = unbroken.advance({0.5, 0.5}, 0);
    const auto b = resumed.advance({0.5, 0.5}, 0);
    REQUIRE(a.lanes.at(0).result.outcome == rule::Outcome::finished);
    CHECK(a.lanes.at(0).result.d_theta == b.lanes.at(0).result.d_theta);
    const auto& pairs = unbroken.state().lanes.at(0).pairs;
    REQUIRE(pairs.size() == resumed.state().lanes.at(0).pairs.size());
    for (std::size_t p = 0; p < pairs.size(); ++p)
      CHECK(pairs[p].noise == resumed.state().lanes.at(0).pairs[p].noise);
    task = unbroken.state().task;
  }
  CHECK(task >= 3);
  // A state of another estimator is refused.
  auto state = unbroken.state();
  while (state.truncation == 0) {
    unbroken.advance({0.5, 0.5}, 0);
    state = unbroken.state();
  }
  CHECK_THROWS_AS(Stream({engine, tasks, 1, 1, 3}, state), InputError);
  state.lanes.at(0).pairs.pop_back();
  CHECK_THROWS_AS(Stream(context, state), InputError);
}

TEST_CASE("truncations of no inner steps, or of a range that falls, are refused") {
  tests::ToyEngine engine(2);
  const auto tasks = tests::toy_tasks(1);
  CHECK_THROWS_AS(Stream({engine, tasks}, beginning(0)), Error);
  CHECK_THROWS_AS(Stream({engine, tasks, 1, 3, 2}, beginning(0)), Error);
}

TEST_CASE("an outcome that is no gradient ends the task") {
  tests::ToyEngine engine(2);
  const auto tasks = tests::toy_tasks(1);
  Stream stream({engine, tasks, 1, 1, 1}, beginning(0));
  engine.next_outcome = rule::Outcome::dead_features;
  CHECK(stream.advance({0.0, 0.0}, 0).lanes.at(0).result.outcome == rule::Outcome::dead_features);
  CHECK(stream.state().task == 1);
  CHECK(stream.state().step == 0);
}

TEST_CASE("a state whose base model is not its task's is refused") {
  tests::ToyEngine engine(2);
  const auto tasks = tests::toy_tasks(1);
  const worker::StreamContext context{engine, tasks, 1, 1, 1};
  auto state = Stream(context, beginning(0)).state();
  state.lanes.at(0).units.back() += 1;
  CHECK_THROWS_AS(Stream(context, state), InputError);
}

TEST_CASE("a state whose φ has not its base model's size is refused") {
  tests::ToyEngine engine(2);
  const auto tasks = tests::toy_tasks(1);
  const worker::StreamContext context{engine, tasks, 1, 1, 1};
  const auto good = Stream(context, beginning(0)).state();
  for (const std::size_t numbers :
       {std::size_t{1}, good.lanes.at(0).phi.size() - 1, good.lanes.at(0).phi.size() + 1}) {
    auto state = good;
    state.lanes.at(0).phi.resize(numbers);
    CHECK_THROWS_AS(Stream(context, state), InputError);
  }
  CHECK(Stream(context, good).state().lanes.at(0).phi == good.lanes.at(0).phi);
}

TEST_CASE("under a curriculum tasks get longer with the update that they begin at") {
  const worker::Curriculum curriculum{100, 2, 32};
  CHECK(curriculum.limit(0) == 2);
  CHECK(curriculum.limit(25) == 4);
  CHECK(curriculum.limit(50) == 8);
  CHECK(curriculum.limit(100) == 32);
  CHECK(curriculum.limit(1000) == 32);
  tests::ToyEngine engine(2);
  const auto tasks = tests::toy_tasks(1);
  const worker::StreamContext context{engine, tasks, 1, 1, 1, curriculum};
  auto state = beginning(0);
  std::uint32_t task = 0;
  std::int64_t begun = 0, steps = 0;
  for (std::int64_t update = 0; update < 150; ++update) {
    Stream stream(context, state);  // resumed, it knows when its task began
    stream.advance({0.0, 0.0}, update);
    state = stream.state();
    ++steps;
    if (state.task == task) continue;
    CHECK(steps == std::min(tasks.sample(0, task).inner_steps, curriculum.limit(begun)));
    task = state.task;
    begun = update + 1;
    steps = 0;
  }
  CHECK(task > 10);
}

TEST_CASE("truncations are as long as their distribution says, uniform or uniform in the logarithm") {
  tests::ToyEngine engine(2);
  data::TaskOptions options = tests::toy_tasks(1).options();
  options.sizes.inner_steps = {100000, 100000};
  const data::TaskDistribution tasks(options, {{tests::toy_dataset(), 1.0}}, 1);
  for (const bool logarithmic : {false, true}) {
    Stream stream({engine, tasks, 1, 2, 31, {}, {}, logarithmic}, beginning(0));
    int short_ones = 0;
    std::int64_t shortest = 100, longest = 0;
    for (int i = 0; i < 400; ++i) {
      const auto length = stream.advance({0.0, 0.0}, 0).length;
      short_ones += length <= 7 ? 1 : 0;
      shortest = std::min(shortest, length);
      longest = std::max(longest, length);
    }
    CHECK((shortest == 2 && longest >= 30 && longest <= 31));
    // 6 of 30, or log(8 / 2) / log(32 / 2) = 1/2.
    CHECK(std::abs(short_ones - (logarithmic ? 200 : 80)) < 45);
  }
}
