// The learning rate's schedule, and steps back from divergence.
#include <cmath>
#include <limits>

#include "coordinator/learner.h"
#include "tests/catch.h"
#include "tests/coordinator/options.h"

using namespace outerloop;
using coordinator::Adam;
using coordinator::AdamOptions;
using coordinator::Learner;
using coordinator::StepBackOptions;
using coordinator::UpdateRecord;

namespace {

store::Checkpoint beginning() {
  store::Checkpoint start;
  start.rule.theta = {1.0, -1.0};
  return start;
}

AdamOptions adam_options() { return tests::adam_options(0.1); }

StepBackOptions step_back_options() { return {0.5, 10, 0.5, 2}; }

/// One update whose gradients all had this meta-objective.
UpdateRecord apply(Learner& learner, double meta_objective, std::vector<double> mean = {0.3, -0.2}) {
  UpdateRecord record;
  const std::vector<coordinator::GradientNote> notes(8, {1, meta_objective, 1.0, 0, "toy"});
  learner.apply(mean, notes, record);
  return record;
}

}  // namespace

TEST_CASE("the learning rate rises, stays, and decays along half a cosine") {
  AdamOptions options = tests::adam_options(1.0);
  options.warmup_updates = 10;
  options.decay_updates = 110;
  options.final_learning_rate = 0.2;
  Adam adam(options, 1);
  std::vector<double> theta{0.0}, rates;
  for (int i = 0; i < 130; ++i) {
    rates.push_back(adam.learning_rate());
    adam.update(theta, {1.0});
  }
  CHECK(rates[0] == Approx(0.1));
  CHECK(rates[4] == Approx(0.5));
  CHECK(rates[9] == Approx(1.0));
  CHECK(rates[34] == Approx(0.2 + 0.8 * 0.5 * (1.0 + std::sqrt(0.5))));  // a quarter of the way
  CHECK(rates[59] == Approx(0.6));
  CHECK(rates[109] == Approx(0.2));
  CHECK(rates[129] == Approx(0.2));
  for (std::size_t i = 10; i < 110; ++i) CHECK(rates[i] < rates[i - 1]);
}

TEST_CASE("snapshots lie at equal distances in the logarithm of updates") {
  std::vector<std::int64_t> kept;
  for (std::int64_t update = 0; update <= 1000; ++update)
    if (coordinator::is_snapshot(update, 4)) kept.push_back(update);
  CHECK(kept == std::vector<std::int64_t>{1, 2, 3, 6, 10, 18, 32, 56, 100, 178, 316, 562, 1000});
  CHECK(coordinator::is_snapshot(1000000000, 1));
  CHECK_FALSE(coordinator::is_snapshot(999999999, 1));
  // More of them than there are whole numbers: each is one.
  for (std::int64_t update = 1; update <= 20; ++update) CHECK(coordinator::is_snapshot(update, 100));
  for (const int update : {0, 1, 10}) CHECK_FALSE(coordinator::is_snapshot(update, 0));
}

TEST_CASE("a run that diverges steps back to where it was good, with half the learning rate") {
  Learner learner(adam_options(), 0.9, step_back_options(), beginning());
  std::vector<std::vector<float>> thetas{learner.theta()};
  for (int i = 0; i < 25; ++i) {
    CHECK_FALSE(apply(learner, 1.0).stepped_back_to);
    thetas.push_back(learner.theta());
  }
  UpdateRecord record;
  int bad = 0;
  do {
    record = apply(learner, 3.0);
    REQUIRE(++bad < 20);
  } while (!record.stepped_back_to);
  CHECK(bad > 1);                        // one update's bad luck is not divergence
  CHECK(*record.stepped_back_to == 20);  // safe points at 10 and 20
  CHECK(learner.theta() == thetas[20]);
  CHECK(learner.update() == 25 + bad);  // the version never goes back
  CHECK(learner.count(coordinator::kStepsBack) == 1);
  CHECK(record.meta_objective_smooth == Approx(1.0));
  CHECK(apply(learner, 1.0).learning_rate == Approx(0.05));
  // Twice is all that it may.
  for (int i = 0; i < 60; ++i) apply(learner, 9.0);
  CHECK(learner.count(coordinator::kStepsBack) == 2);
}

TEST_CASE("updates before the first good gradient are neither safe nor low") {
  StepBackOptions options = step_back_options();
  options.every_updates = 1;
  Learner learner(adam_options(), 0.9, options, beginning());
  UpdateRecord nothing;
  for (int i = 0; i < 3; ++i) learner.apply({0.0, 0.0}, {}, nothing);
  Learner resumed(adam_options(), 0.9, options, learner.snapshot());
  for (Learner* each : {&learner, &resumed}) {
    CHECK_FALSE(apply(*each, 12.0).stepped_back_to);
    CHECK_FALSE(apply(*each, 12.0).stepped_back_to);
    CHECK(apply(*each, 40.0).stepped_back_to.value_or(0) == 5);
  }
}

TEST_CASE("a θ that is not finite is stepped back from at once") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Learner learner(adam_options(), 0.9, step_back_options(), beginning());
  for (int i = 0; i < 12; ++i) apply(learner, 1.0);
  const auto record = apply(learner, 1.0, {nan, 0.0});
  CHECK(record.stepped_back_to.value_or(0) == 10);
  CHECK(learner.finite());
  StepBackOptions never = step_back_options();
  never.tolerance = 0.0;
  Learner without(adam_options(), 0.9, never, beginning());
  for (int i = 0; i < 12; ++i) apply(without, 1.0);
  CHECK_FALSE(apply(without, 1.0, {nan, 0.0}).stepped_back_to);
  CHECK_FALSE(without.finite());
}

TEST_CASE("steps back are the same in a run that is resumed or rolled back at any update") {
  const auto objective = [](int update) { return update % 37 > 25 ? 4.0 : 1.0 + 0.01 * (update % 5); };
  const auto run = [&](Learner& learner, int from, int to) {
    for (int i = from; i < to; ++i) apply(learner, objective(i), {std::sin(i), std::cos(i)});
  };
  Learner unbroken(adam_options(), 0.9, step_back_options(), beginning());
  run(unbroken, 0, 90);
  CHECK(unbroken.count(coordinator::kStepsBack) == 2);
  for (int at = 1; at < 90; at += 4) {
    INFO(at);
    Learner first(adam_options(), 0.9, step_back_options(), beginning());
    run(first, 0, at);
    Learner resumed(adam_options(), 0.9, step_back_options(), first.snapshot());
    run(resumed, at, 90);
    CHECK(resumed.theta() == unbroken.theta());
    const auto mark = first.mark();
    run(first, at, std::min(90, at + 30));
    first.rewind(mark);
    run(first, at, 90);
    CHECK(first.theta() == unbroken.theta());
    CHECK(first.snapshot().rule.theta_average == unbroken.snapshot().rule.theta_average);
  }
}
