// Streams that carry several tasks side by side, and the gradient that a worker makes of theirs.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "common/base/error.h"
#include "tests/catch.h"
#include "tests/toy_engine.h"
#include "worker/gradient_message.h"
#include "worker/stream.h"

using namespace outerloop;
using rule::Outcome;
using worker::Stream;
using worker::StreamContext;
using worker::StreamStep;

namespace {

constexpr std::int64_t kGroup = 3;
constexpr std::size_t kParameters = 2;
const std::vector<double> kTheta(kParameters, 0.0);
// Of every gradient of the toy engine with this θ.
const double kNorm = tests::ToyEngine::kTarget * std::sqrt(static_cast<double>(kParameters));

/// Says what becomes of the lanes of each call, and counts calls of several lanes.
class LaneEngine : public tests::ToyEngine {
 public:
  LaneEngine() : ToyEngine(kParameters) {}

  std::vector<rule::TruncationResult> truncations(const rule::Architecture& architecture,
                                                  const std::vector<double>& theta,
                                                  const std::vector<rule::TruncationLane>& lanes) override {
    ++calls;
    if (watch) watch(lanes);
    auto results = ToyEngine::truncations(architecture, theta, lanes);
    for (const auto& [lane, outcome] : outcomes) {
      results.at(lane) = {};
      results.at(lane).outcome = outcome;
    }
    for (const auto& [lane, factor] : factors)
      for (double& value : results.at(lane).d_theta) value *= factor;
    outcomes.clear();
    factors.clear();
    return results;
  }

  int calls = 0;
  std::function<void(const std::vector<rule::TruncationLane>&)> watch;
  std::map<std::size_t, Outcome> outcomes;  ///< of the next call
  std::map<std::size_t, double> factors;    ///< of the next call's gradients
};

struct Job {
  LaneEngine engine;
  data::TaskDistribution tasks = tests::toy_tasks(1);
  StreamContext context{engine, tasks, 1, 1, 2, {}, {}, false, kGroup, 1000.0};

  Stream stream(std::uint32_t number = 5) const {
    store::StreamState state;
    state.stream = number;
    return Stream(context, state);
  }
  /// Advanced by one truncation into a round that goes on for long.
  Stream in_long_round() const {
    Stream stream = this->stream();
    while (tasks.round(5 * kGroup, stream.state().task).inner_steps < 8 || stream.state().step != 0)
      stream.advance(kTheta, 0);
    stream.advance(kTheta, 0);
    return stream;
  }
};

}  // namespace

TEST_CASE("lanes go through a round together, in one call of the engine, each with a task of its own") {
  Job job;
  Stream stream = job.stream();
  for (int i = 0; i < 60; ++i) {
    const auto before = stream.state();
    REQUIRE(before.lanes.size() == kGroup);
    const StreamStep step = stream.advance(kTheta, 0);
    CHECK(job.engine.calls == i + 1);
    REQUIRE(step.lanes.size() == kGroup);
    const auto round = job.tasks.round(5 * kGroup, step.task);
    for (std::uint32_t l = 0; l < kGroup; ++l) {
      CHECK(before.lanes[l].task == before.task);
      CHECK(before.lanes[l].step == before.step);
      const auto task = job.tasks.sample(round, 5 * kGroup + l, step.task);
      CHECK(before.lanes[l].units == task.architecture.units);
      CHECK(before.lanes[l].permutation_seed ==
            ((static_cast<std::uint64_t>(5 * kGroup + l) << 32) | step.task));
    }
    CHECK(before.lanes[0].phi != before.lanes[1].phi);
    const bool ended = step.step + step.length == round.inner_steps;
    CHECK(stream.state().task == step.task + (ended ? 1 : 0));
    CHECK(stream.state().step == (ended ? 0 : step.step + step.length));
  }
  CHECK(stream.state().task > 5);
}

TEST_CASE("a lane whose task ends early begins its next one within the round, and the others go on") {
  Job job;
  for (const Outcome outcome : {Outcome::dead_features, Outcome::not_finite, Outcome::finished}) {
    Stream stream = job.in_long_round();
    const auto before = stream.state();
    if (outcome == Outcome::finished)
      job.engine.factors[1] = 1e6;  // too long
    else
      job.engine.outcomes[1] = outcome;
    const StreamStep step = stream.advance(kTheta, 0);
    CHECK(step.lanes[0].counts());
    CHECK_FALSE(step.lanes[1].counts());
    CHECK(step.lanes[1].too_long == (outcome == Outcome::finished));
    const auto& after = stream.state();
    REQUIRE(after.task == before.task);
    CHECK(after.lanes[0].task == before.task);
    CHECK(after.lanes[0].step == after.step);
    CHECK(after.lanes[1].task == before.task + 1);
    CHECK(after.lanes[1].step == 0);
    CHECK(after.lanes[1].truncation == 0);
    CHECK(after.lanes[1].units == after.lanes[0].units);
    // It goes on from its state in the same way.
    Stream resumed(job.context, after);
    const auto a = stream.advance(kTheta, 0), b = resumed.advance(kTheta, 0);
    CHECK(a.length == b.length);
    for (std::size_t l = 0; l < kGroup; ++l)
      CHECK(stream.state().lanes[l].phi == resumed.state().lanes[l].phi);
    // The next round is numbered above all tasks.
    while (stream.state().task == before.task) stream.advance(kTheta, 0);
    CHECK(stream.state().task == before.task + 2);
  }
}

TEST_CASE("a round in which no lane has a gradient to give makes way for the next") {
  Job job;
  Stream stream = job.in_long_round();
  const auto task = stream.state().task;
  job.engine.outcomes = {{0, Outcome::dead_features}, {1, Outcome::not_finite}, {2, Outcome::dead_features}};
  const StreamStep step = stream.advance(kTheta, 0);
  CHECK(stream.state().task == task + 1);
  CHECK(stream.state().step == 0);
  const auto message = worker::gradient_message(step, 5, 7, 0.0);
  CHECK(message.floats.empty());
  CHECK(message.header.outcome() == proto::Gradient::dead_features);
  CHECK(message.header.lanes(1).outcome() == proto::Gradient::not_finite);
}

TEST_CASE("a call that is interrupted leaves all lanes where they stood") {
  Job job;
  Stream stream = job.in_long_round();
  const auto before = stream.state();
  job.engine.set_after_step([] { throw Error("interrupted"); });
  CHECK_THROWS_AS(stream.advance(kTheta, 3), Error);
  job.engine.set_after_step({});
  CHECK(stream.state().step == before.step);
  CHECK(stream.state().truncation == before.truncation);
  for (std::size_t l = 0; l < kGroup; ++l) CHECK(stream.state().lanes[l].phi == before.lanes[l].phi);
}

TEST_CASE("minibatches that several threads prepare have the same bits") {
  std::vector<std::vector<double>> seen;
  for (const std::int64_t threads : {1, 4}) {
    Job job;
    job.context.threads = threads;
    job.engine.watch = [&](const std::vector<rule::TruncationLane>& lanes) {
      if (threads == 1) seen.emplace_back();
      std::vector<double> numbers;
      for (const auto& lane : lanes)
        for (const auto& step : lane.steps)
          for (const auto* batch : {&step.inner, &step.a, &step.b})
            numbers.insert(numbers.end(), batch->x.begin(), batch->x.end());
      if (threads == 1)
        seen.back() = numbers;
      else
        CHECK(seen.at(static_cast<std::size_t>(job.engine.calls) - 1) == numbers);
    };
    Stream stream = job.stream();
    for (int i = 0; i < 10; ++i) stream.advance(kTheta, 0);
  }
  CHECK(seen.size() == 10);
}

TEST_CASE("lanes of estimators with a state keep a state each, and are computed one by one") {
  Job job;
  job.context.estimator = {rule::EstimatorKind::noise_reuse, 0.1, 2, 0.0};
  Stream unbroken = job.stream();
  for (int i = 0; i < 12; ++i) {
    const auto before = unbroken.state();
    for (const auto& lane : before.lanes) CHECK(lane.pairs.size() == (lane.truncation == 0 ? 0u : 2u));
    if (before.truncation > 0) CHECK(before.lanes[0].pairs[0].noise != before.lanes[1].pairs[0].noise);
    Stream resumed(job.context, before);
    const auto a = unbroken.advance({0.5, 0.5}, 0), b = resumed.advance({0.5, 0.5}, 0);
    for (std::size_t l = 0; l < kGroup; ++l) CHECK(a.lanes[l].result.d_theta == b.lanes[l].result.d_theta);
  }
  CHECK(job.engine.calls == 0);
}

TEST_CASE("a state of another number of lanes is refused") {
  Job job;
  auto state = job.stream().state();
  state.lanes.pop_back();
  CHECK_THROWS_AS(Stream(job.context, state), InputError);
  state.lanes.resize(1);
  CHECK_THROWS_AS(Stream(job.context, state), InputError);
  job.context.group = 0;
  CHECK_THROWS_AS(job.stream(), Error);
}

TEST_CASE("a gradient is the mean of the lanes' clipped ones, and says of each lane what became of it") {
  Job job;
  Stream stream = job.in_long_round();
  job.engine.outcomes[0] = Outcome::dead_features;
  job.engine.factors[2] = 10.0;
  const StreamStep step = stream.advance(kTheta, 0);
  const double clip = 2.0 * kNorm;  // lane 2 exceeds it
  const auto message = worker::gradient_message(step, 5, 7, clip);
  const auto& header = message.header;
  CHECK(header.stream() == 5);
  CHECK(header.theta_version() == 7);
  CHECK(header.outcome() == proto::Gradient::finished);
  REQUIRE(header.lanes_size() == kGroup);
  CHECK(header.lanes(0).outcome() == proto::Gradient::dead_features);
  CHECK(header.lanes(1).norm() == Approx(kNorm));
  CHECK(header.lanes(2).norm() == Approx(10.0 * kNorm));
  for (const auto& lane : header.lanes()) {
    CHECK(lane.dataset() == "toy");
    CHECK(lane.task() == step.task);
  }
  REQUIRE(message.floats.size() == kParameters);
  for (const float value : message.floats) CHECK(value == Approx(-tests::ToyEngine::kTarget * 3.0 / kGroup));
}

TEST_CASE("a single lane's gradient is said in the header itself") {
  Job job;
  job.context.group = 1;
  Stream stream = job.stream();
  const StreamStep step = stream.advance(kTheta, 0);
  CHECK_FALSE(step.lanes.at(0).too_long);
  const auto message = worker::gradient_message(step, 5, 7, 0.5);
  CHECK(message.header.lanes_size() == 0);
  CHECK(message.header.norm() == Approx(kNorm));
  CHECK(message.header.dataset() == "toy");
  CHECK(message.header.meta_objective() == step.lanes[0].result.mean_meta_objective);
  CHECK(job.engine.calls == 0);
}

TEST_CASE("a single lane's gradient is the coordinator's to refuse, however long") {
  Job job;
  job.context.group = 1;
  job.context.reject_norm = 0.1;
  Stream stream = job.stream();
  const StreamStep step = stream.advance(kTheta, 0);
  CHECK(step.lanes.at(0).counts());
}
