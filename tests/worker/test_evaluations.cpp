// A worker that evaluates θ between its truncations, and streams that are not disturbed by it.
#include <cmath>

#include "common/base/error.h"
#include "common/evaluation/evaluator.h"
#include "tests/catch.h"
#include "tests/evaluation/small_engine.h"
#include "tests/toy_engine.h"
#include "tests/virtual_clock.h"
#include "worker/stream.h"
#include "worker/worker.h"

using namespace outerloop;
using evaluation::Evaluation;
using evaluation::Evaluator;
using tests::evaluator_options;
using tests::same;
using tests::small_engine;
using tests::task_options;
using tests::with_classes;

TEST_CASE("a task's evaluation has the same bits in any order and in any process, and depends on θ") {
  const auto engine = small_engine(), other_engine = small_engine();
  const std::vector<std::shared_ptr<const data::Dataset>> datasets = {tests::toy_dataset(), with_classes(3)};
  const Evaluator evaluator(*engine, task_options(), datasets, evaluator_options());
  const Evaluator other(*other_engine, task_options(), datasets, evaluator_options());
  auto theta = rule::initial_theta(engine->theta_layout(), 1);
  std::vector<Evaluation> first;
  for (const std::uint32_t dataset : {0u, 1u})
    for (const std::uint32_t task : {0u, 1u}) first.push_back(evaluator.evaluate(theta, dataset, task));
  for (const auto& evaluation : first) {
    CHECK(evaluation.outcome == rule::Outcome::finished);
    CHECK(evaluation.meta_objective > 0.0);
    CHECK((evaluation.accuracy >= 0.0 && evaluation.accuracy <= 1.0));
  }
  CHECK_FALSE(same(first[0], first[1]));
  CHECK_FALSE(same(first[0], first[2]));
  // The other one trains in between, and goes backwards.
  const auto tasks = tests::toy_tasks(1);
  worker::Stream stream({*other_engine, tasks, 1, 1, 3}, {});
  for (int i = 3; i >= 0; --i) {
    stream.advance(theta, 0);
    CHECK(same(other.evaluate(theta, static_cast<std::uint32_t>(i / 2), static_cast<std::uint32_t>(i % 2)),
               first[static_cast<std::size_t>(i)]));
  }
  auto seeded = evaluator_options();
  seeded.seed = 6;
  CHECK_FALSE(same(Evaluator(*engine, task_options(), datasets, seeded).evaluate(theta, 0, 0), first[0]));
  for (auto& value : theta) value *= 1.5;
  CHECK(evaluator.evaluate(theta, 0, 0).meta_objective != first[0].meta_objective);
}

TEST_CASE("evaluations between truncations change no bit of training") {
  const auto engine = small_engine(), alone = small_engine();
  const auto tasks = tests::toy_tasks(1);
  const Evaluator evaluator(*engine, task_options(), {tests::toy_dataset()}, evaluator_options());
  const auto theta = rule::initial_theta(engine->theta_layout(), 1);
  worker::Stream disturbed({*engine, tasks, 1, 1, 3}, {}), undisturbed({*alone, tasks, 1, 1, 3}, {});
  for (std::uint32_t i = 0; i < 12; ++i) {
    evaluator.evaluate(theta, 0, i);
    const auto a = disturbed.advance(theta, 0), b = undisturbed.advance(theta, 0);
    CHECK(a.lanes.at(0).result.d_theta == b.lanes.at(0).result.d_theta);
    CHECK(disturbed.state().lanes.at(0).phi == undisturbed.state().lanes.at(0).phi);
  }
}

TEST_CASE(
    "a worker answers a piece, keeps its θ for the next, and its streams go on as if nothing had been") {
  const auto engine = small_engine();
  const auto tasks = tests::toy_tasks(1);
  const Evaluator evaluator(*engine, task_options(), {tests::toy_dataset()}, evaluator_options());
  const auto theta = rule::initial_theta(engine->theta_layout(), 1);
  const std::vector<float> floats(theta.begin(), theta.end());
  std::vector<double> rounded(floats.begin(), floats.end());
  worker::Worker machine({*engine, tasks, 1, 1, 3}, {0.0, "here", 1, 10.0}, &evaluator);
  const tests::VirtualClock clock(0.25);
  proto::WorkerMessage message;
  const auto hand = [&](const proto::CoordinatorMessage& answer, const std::vector<float>& behind) {
    const auto frame = machine.handle(net::encode({answer.SerializeAsString(), behind}), clock);
    REQUIRE(frame.has_value());
    REQUIRE(message.ParseFromString(frame->header));
  };
  proto::CoordinatorMessage work;
  work.add_assign()->set_stream(0);
  hand(work, floats);
  CHECK(message.gradient().step() == 0);
  const auto length = message.gradient().length();

  proto::CoordinatorMessage evaluate;
  evaluate.set_command(proto::CoordinatorMessage::evaluate);
  evaluate.set_theta_version(9);
  evaluate.mutable_piece()->set_update(8);
  evaluate.set_send_streams(true);
  auto scaled = floats;
  for (auto& value : scaled) value *= 1.5f;
  hand(evaluate, scaled);
  CHECK(message.evaluated().piece().update() == 8);
  CHECK(message.evaluated().seconds() == 0.25);  // of the clock that the worker was given
  std::vector<double> expected(scaled.begin(), scaled.end());
  CHECK(message.evaluated().meta_objective() == evaluator.evaluate(expected, 0, 0).meta_objective);
  REQUIRE(message.streams_size() == 1);
  CHECK(message.streams(0).step() == length);
  evaluate.set_send_streams(false);
  evaluate.mutable_piece()->set_task(1);
  hand(evaluate, {});
  CHECK(message.evaluated().accuracy() == evaluator.evaluate(expected, 0, 1).accuracy);
  CHECK_FALSE(message.has_streams());

  proto::CoordinatorMessage go_on;
  go_on.set_theta_version(9);
  hand(go_on, {});
  CHECK(message.gradient().theta_version() == 0);  // still the θ that it was given for training
  CHECK(message.gradient().step() == length);
  evaluate.mutable_piece()->set_update(10);
  CHECK_THROWS_AS(machine.handle(net::encode({evaluate.SerializeAsString(), {}}), clock), Error);
  worker::Worker without({*engine, tasks, 1, 1, 3}, {0.0, "here", 1, 10.0});
  CHECK_THROWS_AS(without.handle(net::encode({evaluate.SerializeAsString(), floats}), clock), Error);
}

TEST_CASE("two classes with scores have a meta-gradient, and are evaluated by their classes") {
  const auto engine = small_engine();
  const auto theta = rule::initial_theta(engine->theta_layout(), 1);
  auto scored = std::make_shared<data::Dataset>(*with_classes(2));
  for (std::size_t i = 0; i < scored->labels.size(); ++i)
    scored->scores.push_back(static_cast<float>(i % 5) / 4.0f - 0.5f);
  const Evaluator evaluator(*engine, task_options(), {scored}, evaluator_options());
  const auto evaluation = evaluator.evaluate(theta, 0, 0);
  CHECK(evaluation.outcome == rule::Outcome::finished);
  CHECK(evaluation.meta_objective > 0.0);
  CHECK((evaluation.accuracy >= 0.0 && evaluation.accuracy <= 1.0));
  const data::TaskDistribution tasks(task_options(), {{scored, 1.0}}, 1);
  worker::Stream stream({*engine, tasks, 1, 2, 2}, {});
  const auto result = stream.advance(theta, 0).lanes.at(0).result;
  REQUIRE(result.outcome == rule::Outcome::finished);
  double squares = 0.0;
  for (const double d : result.d_theta) squares += d * d;
  CHECK(squares > 1e-8);
}
