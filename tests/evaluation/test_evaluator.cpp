// Evaluation during meta-training: results do not depend on earlier computations but do depend on θ; datasets
// may have any number of classes.
#include <cmath>

#include "common/base/error.h"
#include "common/evaluation/evaluator.h"
#include "tests/catch.h"
#include "tests/evaluation/small_engine.h"
#include "tests/toy_engine.h"

using namespace outerloop;
using evaluation::Evaluator;
using tests::evaluator_options;
using tests::same;
using tests::small_engine;
using tests::task_options;
using tests::with_classes;

TEST_CASE("a θ that is not finite is an outcome, too few classes are refused") {
  const auto engine = small_engine();
  const Evaluator evaluator(*engine, task_options(), {tests::toy_dataset()}, evaluator_options());
  const std::vector<double> theta(static_cast<std::size_t>(engine->theta_layout().size()), NAN);
  CHECK(evaluator.evaluate(theta, 0, 0).outcome == rule::Outcome::not_finite);
  CHECK_THROWS_AS(evaluator.evaluate(theta, 1, 0), Error);
  CHECK_THROWS_AS(Evaluator(*engine, task_options(), {with_classes(2)}, evaluator_options()), InputError);
}

TEST_CASE("a rule that trains on labels is evaluated without a read-out") {
  const auto engine = small_engine("supervised_sgd");
  const Evaluator evaluator(*engine, task_options(0), {tests::toy_dataset()}, evaluator_options());
  const auto theta = rule::initial_theta(engine->theta_layout(), 1);
  const auto evaluation = evaluator.evaluate(theta, 0, 0);
  CHECK(evaluation.outcome == rule::Outcome::finished);
  CHECK(evaluation.meta_objective > 0.0);
  CHECK(std::isnan(evaluation.accuracy));
}

TEST_CASE("evaluation shows images as they are, whatever training does to them") {
  const auto engine = small_engine();
  const auto theta = rule::initial_theta(engine->theta_layout(), 1);
  const Evaluator plain(*engine, task_options(), {tests::toy_dataset()}, evaluator_options());
  auto changed = task_options();
  changed.invert_probability = 1.0;
  changed.gain_jitter = 0.5;
  changed.augmentation.shift = 0.3;
  changed.augmentation.noise = 0.5;
  changed.augmentation.target_scale = 0.25;
  changed.smallest_side = 2;
  changed.permute_probability = 0.0;
  const Evaluator other(*engine, changed, {tests::toy_dataset()}, evaluator_options());
  CHECK(same(plain.evaluate(theta, 0, 0), other.evaluate(theta, 0, 0)));
}
