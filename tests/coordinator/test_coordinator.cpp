// The coordinator as a state machine: batches, refusals by cause, checkpoints, newcomers, the end of a run.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "common/base/error.h"
#include "common/store/stream_message.h"
#include "coordinator/coordinator.h"
#include "tests/catch.h"
#include "tests/coordinator/fixture.h"

using namespace outerloop;
using namespace outerloop::tests::job;
using coordinator::StopReason;

TEST_CASE("hello is answered with θ and the worker's streams, once") {
  Fixture f;
  const auto first = f.one(1, hello());
  CHECK(first.frame.floats == std::vector<float>{1.0f, 1.0f, 1.0f});
  CHECK(read(first).assign_size() == 1);
  CHECK(read(first).assign(0).stream() == 0);
  const auto again = f.one(1, hello());
  CHECK(read(again).assign_size() == 0);
  CHECK(again.frame.floats.empty());  // it has the newest θ already
  CHECK(read(f.one(2, hello())).assign(0).stream() == 1);
}

TEST_CASE("a coordinator whose batch, streams or deadline are not set is refused") {
  for (const int unset : {0, 1, 2}) {
    auto o = options();
    if (unset == 0) o.batch = 0;
    if (unset == 1) o.streams = 0;
    if (unset == 2) o.deadline = 0.0;
    CHECK_THROWS_AS(Fixture(o), Error);
  }
}

TEST_CASE("a full batch is one update, and the next answer carries the new θ") {
  Fixture f;
  f.one(1, hello());
  f.one(2, hello());
  CHECK(f.one(1, gradient_bytes(0)).frame.floats.empty());
  CHECK(f.coordinator.update() == 0);
  const auto answer = f.one(2, gradient_bytes(0));
  CHECK(f.coordinator.update() == 1);
  REQUIRE(answer.frame.floats.size() == kParameters);
  CHECK(answer.frame.floats[0] == Approx(0.9));
  CHECK(answer.frame.floats[1] == Approx(1.1));
  CHECK(answer.frame.floats[2] == 1.0f);
  CHECK(read(answer).theta_version() == 1);
  REQUIRE(f.recorder.updates.size() == 1);
  CHECK(f.recorder.updates[0].batch.unique_workers == 2);
  CHECK(f.recorder.updates[0].batch.gradients_of == std::map<int, std::int64_t>{{1, 1}, {2, 1}});
  CHECK(f.coordinator.tallies().at(2).gradients == 1);
  CHECK(f.recorder.updates[0].gradients == 2);
}

TEST_CASE("bad gradients are dropped whole, counted by cause, and never enter Adam") {
  Fixture f;
  f.one(1, hello());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  f.one(1, gradient_bytes(0, {1.0f, nan, 0.0f}));
  f.one(1, gradient_bytes(0, {1.0f, 1.0f}));               // another θ
  f.one(1, gradient_bytes(0, {1.0f, 1.0f, 1.0f}, 101.0));  // beyond reject_norm
  f.one(1, gradient_bytes(7));                             // of a θ that does not exist yet
  auto dead = gradient(0);
  dead.mutable_gradient()->set_outcome(proto::Gradient::dead_features);
  f.one(1, bytes_of(dead));
  CHECK(f.coordinator.update() == 0);
  CHECK(f.coordinator.gradients() == 0);
  const auto refused = f.coordinator.refused();
  CHECK(count(refused, "not_finite") == 1);
  CHECK(count(refused, "layout") == 1);
  CHECK(count(refused, "norm") == 1);
  CHECK(count(refused, "stale") == 1);
  CHECK(count(refused, "dead_features") == 1);
  CHECK(f.coordinator.tallies().at(1).refused.at("norm") == 1);
}

TEST_CASE("a gradient is refused once θ has moved on by more than the bound") {
  Fixture f;
  for (int i = 0; i < 4; ++i) f.one(1, gradient_bytes(f.coordinator.update()));
  REQUIRE(f.coordinator.update() == 2);
  f.one(2, gradient_bytes(1));  // one update behind: within the bound
  CHECK(count(f.coordinator.refused(), "stale") == 0);
  f.one(2, gradient_bytes(0));  // two behind
  CHECK(count(f.coordinator.refused(), "stale") == 1);
  CHECK(f.coordinator.gradients() == 4);
  CHECK(f.coordinator.pending() == 1);
}

TEST_CASE("bytes that are no message are warned of and not answered") {
  Fixture f;
  CHECK(f.coordinator.handle(1, "rubbish", 1.0).empty());
  CHECK(f.coordinator.handle(1, net::encode({"\xff\xff\xff", {}}), 2.0).empty());
  CHECK(f.coordinator.handle(9, gradient_bytes(0), 3.0).empty());  // a stranger
  CHECK(f.recorder.warnings.size() == 3);
}

TEST_CASE("a checkpoint waits for the streams of every worker") {
  auto o = options();
  o.checkpoint_every = 1;
  Fixture f(o);
  f.one(1, hello());
  f.one(2, hello());
  f.one(1, gradient_bytes(0));
  CHECK(read(f.one(2, gradient_bytes(0))).send_streams());
  CHECK(read(f.one(1, gradient_bytes(0))).send_streams());
  CHECK(f.recorder.checkpoints.empty());
  for (const int worker : {1, 2}) {
    auto message = gradient(1);
    message.set_has_streams(true);
    auto& stream = *message.add_streams();
    stream.set_stream(static_cast<std::uint32_t>(worker - 1));
    stream.set_task(5);
    stream.set_step(17);
    stream.add_lanes()->add_phi(0.1);
    CHECK(f.recorder.checkpoints.empty());
    f.one(worker, bytes_of(message, {0.0f, 0.0f, 0.0f}));
  }
  REQUIRE(f.recorder.checkpoints.size() == 1);
  const auto& checkpoint = f.recorder.checkpoints[0];
  REQUIRE(checkpoint.streams.size() == 2);
  CHECK(checkpoint.streams[1].stream == 1);
  CHECK(checkpoint.streams[1].step == 17);
  CHECK(checkpoint.streams[1].lanes.at(0).phi == std::vector<double>{0.1});
  CHECK(checkpoint.adam_step == checkpoint.rule.update);
  CHECK(checkpoint.history.at("update").size() == static_cast<std::size_t>(checkpoint.rule.update));
}

TEST_CASE("a resumed coordinator hands out the streams it was given and goes on with Adam and the counters") {
  auto start = start_state();
  start.rule.update = 10;
  start.adam_m = {0.1, 0.1, 0.1};
  start.adam_v = {0.1, 0.1, 0.1};
  start.adam_step = 10;
  start.counters["gradients"] = 20;
  start.counters["refused.norm"] = 3;
  start.seconds = 100.0;
  store::StreamState stream;
  stream.stream = 1;
  stream.task = 4;
  stream.step = 6;
  stream.lanes.resize(1);
  stream.lanes[0].phi = {0.25, 0.5};
  start.streams = {stream};
  outerloop::tests::Recorder recorder;
  Coordinator coordinator(options(), start, {1, 2}, recorder, 50.0);
  const auto message = read(coordinator.handle(2, hello(), 51.0).at(0));
  REQUIRE(message.assign_size() == 1);
  CHECK(message.assign(0).task() == 4);
  CHECK(message.assign(0).step() == 6);
  CHECK(message.assign(0).lanes(0).phi_size() == 2);
  coordinator.handle(1, gradient_bytes(10), 52.0);
  coordinator.handle(2, gradient_bytes(10), 53.0);
  const auto snapshot = coordinator.snapshot();
  CHECK(snapshot.rule.update == 11);
  CHECK(snapshot.adam_step == 11);
  CHECK(coordinator.gradients() == 22);
  CHECK(count(coordinator.refused(), "norm") == 3);
  CHECK(snapshot.seconds == Approx(103.0));
}

TEST_CASE("a newcomer is taken in by its hello, waits, and gets the streams of the next that is lost") {
  Fixture f;
  f.one(1, hello());
  f.one(2, hello());
  CHECK(read(f.one(3, hello())).assign_size() == 0);
  proto::WorkerMessage failure;
  failure.mutable_failure()->set_message("its disk is gone");
  CHECK(f.coordinator.handle(1, bytes_of(failure), 1.0).empty());
  proto::WorkerMessage waiting;
  waiting.set_waiting(true);
  const auto answer = read(f.one(3, bytes_of(waiting)));
  REQUIRE(answer.assign_size() == 1);
  CHECK(answer.assign(0).stream() == 0);
  CHECK(answer.assign(0).task() == 1);
}

TEST_CASE(
    "a newcomer gets its share of the streams at once, those that others work on from where they stand") {
  auto o = options();
  o.streams = 6;
  o.batch = 100;
  Fixture f(o);  // 0, 2, 4 and 1, 3, 5
  f.one(1, hello());
  // Worker 2 has not heard of its streams yet: one of them goes over without a question. Another is asked
  // for.
  const auto untold = read(f.one(3, hello()));
  REQUIRE(untold.assign_size() == 1);
  CHECK(untold.assign(0).stream() == 5);
  CHECK(read(f.one(2, hello())).assign_size() == 2);
  const auto asked = read(f.one(1, gradient_bytes(0)));
  REQUIRE(asked.give_up_size() == 1);
  CHECK(asked.give_up(0) == 4);
  // What it was not asked for it keeps, whatever it says.
  auto message = gradient(0);
  for (const std::uint32_t stream : {2u, 4u, 4u, 77u}) {
    auto& given = *message.add_given_up();
    given.set_stream(stream);
    given.set_task(3);
    given.set_step(12);
    given.add_lanes()->add_phi(0.5);
  }
  CHECK(read(f.one(1, bytes_of(message, {0.0f, 0.0f, 0.0f}))).give_up_size() == 0);
  const auto taken = read(f.one(3, gradient_bytes(0)));
  REQUIRE(taken.assign_size() == 1);
  CHECK(taken.assign(0).stream() == 4);
  CHECK(taken.assign(0).task() == 3);
  CHECK(taken.assign(0).step() == 12);
  CHECK(taken.assign(0).lanes_size() == 1);
  CHECK(f.coordinator.snapshot().streams.at(4).step == 12);  // also where the newcomer never speaks again
}

TEST_CASE("a stream that was asked back is its worker's until it comes, and then anyone's") {
  auto o = options();
  o.streams = 4;
  o.batch = 100;
  Fixture f(o);  // 0, 2 and 1, 3
  for (const int worker : {1, 2, 3}) f.one(worker, hello());
  REQUIRE(read(f.one(1, gradient_bytes(0))).give_up(0) == 2);
  proto::WorkerMessage failure;
  failure.mutable_failure()->set_message("its disk is gone");
  SECTION("its worker is lost before") {
    f.coordinator.handle(1, bytes_of(failure), 1.0);
    // Streams 0 and 2 begin their next task, with those that have the fewest.
    const auto answer = read(f.one(3, gradient_bytes(0)));
    REQUIRE(answer.assign_size() == 2);
    for (const auto& state : answer.assign()) CHECK((state.task() == 1 && state.lanes_size() == 0));
  }
  SECTION("the newcomer is lost before") {
    f.coordinator.handle(3, bytes_of(failure), 1.0);
    auto message = gradient(0);
    message.add_given_up()->set_stream(2);
    const auto answer = read(f.one(1, bytes_of(message, {0.0f, 0.0f, 0.0f})));
    REQUIRE(answer.assign_size() == 1);
    CHECK(answer.assign(0).stream() == 2);
  }
}

TEST_CASE("a lost worker's stream is in the next checkpoint at its next task, whoever works on it") {
  auto o = options();
  o.checkpoint_every = 1;
  Fixture f(o);
  f.one(1, hello());
  f.one(2, hello());
  auto message = gradient(0, 0);
  message.mutable_gradient()->set_task(3);
  f.one(1, bytes_of(message, {0.0f, 0.0f, 0.0f}));
  CHECK(read(f.one(2, gradient_bytes(0))).send_streams());
  auto streams = gradient(1, 1);
  streams.set_has_streams(true);
  streams.add_streams()->set_stream(1);
  f.one(2, bytes_of(streams, {0.0f, 0.0f, 0.0f}));
  CHECK(f.recorder.checkpoints.empty());  // worker 1 has not answered yet, and never will
  proto::WorkerMessage failure;
  failure.mutable_failure()->set_message("gone");
  f.coordinator.handle(1, bytes_of(failure), 2.0);
  REQUIRE(f.recorder.checkpoints.size() == 1);
  REQUIRE(f.recorder.checkpoints[0].streams.size() == 2);
  CHECK(f.recorder.checkpoints[0].streams[0].task == 4);
}

TEST_CASE("the default staleness bound is twice the updates that a round of all workers makes") {
  CHECK(coordinator::default_staleness_bound(1, 4) == 2);
  CHECK(coordinator::default_staleness_bound(4, 4) == 2);
  CHECK(coordinator::default_staleness_bound(5, 4) == 4);
  CHECK(coordinator::default_staleness_bound(512, 256) == 4);
}

TEST_CASE("the run ends after its updates, its seconds or a signal, with everyone's streams") {
  auto o = options();
  o.updates = 1;
  o.seconds = 60.0;
  Fixture f(o);
  f.one(1, hello());
  f.one(2, hello());
  f.one(1, gradient_bytes(0));
  CHECK(read(f.one(2, gradient_bytes(0))).command() == proto::CoordinatorMessage::stop);
  CHECK(f.coordinator.stop_reason() == StopReason::updates);
  CHECK(read(f.one(1, gradient_bytes(0))).command() == proto::CoordinatorMessage::stop);
  CHECK(f.coordinator.gradients() == 2);  // θ is final: the late one is not applied
  for (const int worker : {1, 2}) {
    CHECK_FALSE(f.coordinator.finished());
    proto::WorkerMessage farewell;
    farewell.set_farewell(true);
    farewell.set_has_streams(true);
    farewell.add_streams()->set_stream(static_cast<std::uint32_t>(worker - 1));
    CHECK(f.coordinator.handle(worker, bytes_of(farewell), 2.0).empty());
  }
  CHECK(f.coordinator.finished());
  CHECK(f.coordinator.snapshot().streams.size() == 2);
  const auto released = f.coordinator.release();
  REQUIRE(released.size() == 2);
  CHECK(read(released[0]).finalize());

  o.deadline = 1000.0;
  Fixture seconds(o);
  seconds.coordinator.tick(59.0);
  CHECK(seconds.coordinator.stop_reason() == StopReason::none);
  seconds.coordinator.tick(60.0);
  CHECK(seconds.coordinator.stop_reason() == StopReason::seconds);

  Fixture signal(o);
  auto told = gradient(0);
  told.set_signalled(true);
  signal.one(1, bytes_of(told, {0.0f, 0.0f, 0.0f}));
  CHECK(signal.coordinator.stop_reason() == StopReason::signal);
}

TEST_CASE("a farewell with 300,000 streams, and a move of half of 20,000, take seconds at most") {
  const auto begin = std::chrono::steady_clock::now();
  auto o = options();
  o.streams = 300000;
  Fixture f(o, {1});
  f.one(1, hello());
  proto::WorkerMessage message;
  message.set_farewell(true);
  message.set_has_streams(true);
  for (std::uint32_t stream = 0; stream < o.streams; ++stream) message.add_streams()->set_stream(stream);
  f.coordinator.handle(1, bytes_of(message), 1.0);
  CHECK(f.coordinator.workers_lost() == 0);

  coordinator::Membership membership({1}, 0.0);
  std::vector<store::StreamState> states(20000);
  for (std::uint32_t i = 0; i < states.size(); ++i) states[i].stream = i;
  membership.deal(states);
  auto& rich = *membership.find(1);
  rich.to_assign.clear();  // sent
  auto& poor = membership.admit(2, 0.0);
  membership.even_out();
  rich.giving_up.swap(rich.to_give_up);
  CHECK(rich.giving_up.size() == 10000);
  for (const auto& state : states) membership.take_back(1, state);
  CHECK(rich.streams.size() == 10000);
  CHECK(poor.streams.size() == 10000);
#ifdef OUTERLOOP_SANITIZED
  constexpr std::chrono::seconds most(60);  // a quadratic search takes longer in any build
#else
  constexpr std::chrono::seconds most(10);
#endif
  CHECK(std::chrono::steady_clock::now() - begin < most);
}

TEST_CASE("the average of θ follows it, and a diverged θ ends the run") {
  auto o = options();
  o.average_decay = 0.5;
  o.batch = 1;
  Fixture f(o);
  f.one(1, gradient_bytes(0, {1.0f, 0.0f, 0.0f}));
  f.one(1, gradient_bytes(1, {1.0f, 0.0f, 0.0f}));
  const auto rule = f.coordinator.snapshot().rule;
  CHECK(rule.theta[0] == Approx(0.8));
  CHECK(rule.theta_average[0] == Approx(0.5 * (0.9 + 0.8)));
  CHECK(rule.theta_average[1] == 1.0);

  o.adam.learning_rate = std::numeric_limits<double>::infinity();
  Fixture diverged(o);
  diverged.one(1, gradient_bytes(0));
  CHECK(diverged.coordinator.stop_reason() == StopReason::diverged);
}
