// Losses: who counts as lost, when, and what the run does without them.
#include <map>
#include <string>

#include "common/store/stream_message.h"
#include "coordinator/coordinator.h"
#include "tests/catch.h"
#include "tests/coordinator/fixture.h"

using namespace outerloop;
using namespace outerloop::tests::job;
using coordinator::StopReason;

TEST_CASE(
    "a silent worker is lost, its streams go to another and begin their next task, and it is refused later") {
  Fixture f;
  f.one(1, hello(), 1.0);
  f.one(2, hello(), 1.0);
  auto message = gradient(0, 0);
  message.mutable_gradient()->set_task(7);
  f.one(1, bytes_of(message, {0.0f, 0.0f, 0.0f}), 2.0);
  f.one(2, gradient_bytes(0), 11.0);
  f.coordinator.tick(12.5);
  CHECK(f.coordinator.workers_lost() == 1);
  CHECK(f.recorder.warnings.at(0).find("worker 1 on here") != std::string::npos);
  const auto answer = read(f.one(2, gradient_bytes(1), 13.0));
  REQUIRE(answer.assign_size() == 1);
  CHECK(answer.assign(0).stream() == 0);
  CHECK(answer.assign(0).task() == 8);
  CHECK(answer.assign(0).lanes_size() == 0);
  CHECK(read(f.one(1, gradient_bytes(0), 14.0)).command() == proto::CoordinatorMessage::refused);
  CHECK(f.coordinator.stop_reason() == StopReason::none);
}

TEST_CASE(
    "a worker whose process has ended is lost at once, unless it had said farewell; losses are listed") {
  auto o = options();
  o.max_failures = 1;
  Fixture f(o);
  f.one(1, hello());
  f.one(2, hello());
  f.coordinator.process_ended(3, 1.0);  // a stranger
  CHECK(f.coordinator.losses().empty());
  f.coordinator.process_ended(2, 2.0);
  f.coordinator.process_ended(2, 2.5);
  REQUIRE(f.coordinator.losses().size() == 1);
  CHECK(f.coordinator.losses()[0].worker == 2);
  CHECK(f.coordinator.losses()[0].reason == "its process has ended");
  CHECK(f.coordinator.losses()[0].seconds == Approx(2.0));
  CHECK(f.coordinator.stop_reason() == StopReason::none);
  // What it sends later is refused, not applied.
  CHECK(read(f.one(2, gradient_bytes(0))).command() == proto::CoordinatorMessage::refused);
  CHECK(f.coordinator.pending() == 0);
  proto::WorkerMessage farewell;
  farewell.set_farewell(true);
  f.coordinator.request_stop(StopReason::signal);
  CHECK(f.coordinator.handle(1, bytes_of(farewell), 3.0).empty());
  f.coordinator.process_ended(1, 4.0);
  CHECK(f.coordinator.workers_lost() == 1);
}

TEST_CASE("losses count for an hour: those before it leave room for others") {
  auto o = options();
  o.max_failures = 1;
  o.deadline = 1e6;
  Fixture f(o, {1, 2, 3, 4});
  f.coordinator.process_ended(1, 10.0);
  f.coordinator.process_ended(2, 3700.0);
  CHECK(f.coordinator.stop_reason() == StopReason::none);
  f.coordinator.process_ended(3, 3800.0);
  CHECK(f.coordinator.stop_reason() == StopReason::failures);
  CHECK(f.coordinator.losses().size() == 3);
  CHECK(f.recorder.warnings.back() ==
        "2 workers were lost within an hour, and max_failures = 1: the run ends");
}

TEST_CASE(
    "where lost workers are replaced, the run outlasts the loss of everyone, as long as one is expected") {
  auto o = options();
  o.replaces = true;
  o.deadline = 10.0;
  Fixture f(o, {1});
  f.one(1, hello());
  f.coordinator.process_ended(1, 1.0);
  CHECK(f.coordinator.stop_reason() == StopReason::none);
  f.coordinator.expect(2, 1.0);
  const auto answer = read(f.one(2, hello()));
  CHECK(answer.assign_size() == static_cast<int>(o.streams));
  for (const auto& stream : answer.assign()) CHECK(stream.task() == 1);  // each begins its next task
  f.coordinator.process_ended(2, 2.0);
  f.coordinator.expect(3, 2.0);
  f.coordinator.tick(11.0);
  CHECK(f.coordinator.stop_reason() == StopReason::none);
  f.coordinator.tick(13.0);  // it does not come
  CHECK(f.coordinator.stop_reason() == StopReason::failures);

  Fixture none(o, {1});
  none.one(1, hello());
  none.coordinator.process_ended(1, 1.0);
  none.coordinator.no_replacement();
  CHECK(none.coordinator.stop_reason() == StopReason::failures);
  CHECK(none.coordinator.finished());
}

TEST_CASE("a worker whose connection has ended is lost once what it sent before has been taken") {
  for (const bool timed_out : {false, true}) {
    auto o = options();
    o.silence = 60.0;
    Fixture f(o);
    f.one(1, hello());
    f.one(2, hello());
    f.coordinator.tick(2.0);
    f.coordinator.connection_ended(1, timed_out, 2.0);
    f.coordinator.tick(2.2);
    CHECK(f.coordinator.workers_lost() == 0);
    f.one(1, gradient_bytes(0), 2.3);
    f.coordinator.tick(2.4);
    CHECK(f.coordinator.workers_lost() == 0);
    f.coordinator.tick(2.6);
    REQUIRE(f.coordinator.losses().size() == 1);
    const auto& loss = f.coordinator.losses().front();
    CHECK(loss.worker == 1);
    CHECK(coordinator::noticed_by_name(loss.noticed_by) ==
          std::string(timed_out ? "keep_alive" : "connection"));
    CHECK(loss.after == Approx(0.3));
    CHECK(loss.reason == (timed_out ? "no sign of life of its host, or of the network to it, for 60 s"
                                    : "its process has ended"));
    CHECK(f.recorder.warnings.front().find("0.3 s after it was last heard of)") != std::string::npos);
    CHECK(f.coordinator.pending() == 1);
    f.coordinator.tick(3.0);
    CHECK(f.coordinator.workers_lost() == 1);
  }
}

TEST_CASE("a farewell or a failure that was on its way when the connection ended is what counts") {
  Fixture f;
  f.one(1, hello());
  f.one(2, hello());
  proto::WorkerMessage failure;
  failure.mutable_failure()->set_message("its disk is gone");
  f.coordinator.connection_ended(1, false, 2.0);
  f.coordinator.tick(2.1);
  CHECK(f.coordinator.handle(1, bytes_of(failure), 2.2).empty());
  for (double now = 2.3; now < 4.0; now += 0.2) f.coordinator.tick(now);
  REQUIRE(f.coordinator.losses().size() == 1);
  CHECK(f.coordinator.losses().front().reason == "its disk is gone");
  CHECK(coordinator::noticed_by_name(f.coordinator.losses().front().noticed_by) == std::string("itself"));

  f.coordinator.request_stop(StopReason::signal);
  proto::WorkerMessage farewell;
  farewell.set_farewell(true);
  f.coordinator.connection_ended(2, false, 4.0);
  CHECK(f.coordinator.handle(2, bytes_of(farewell), 4.2).empty());
  for (double now = 4.3; now < 6.0; now += 0.2) f.coordinator.tick(now);
  CHECK(f.coordinator.workers_lost() == 1);
  CHECK(f.coordinator.finished());
}

TEST_CASE("time in which rank 0 takes no messages, as while it writes a checkpoint, makes nobody lost") {
  Fixture f;
  f.one(1, hello());
  f.one(2, hello());
  f.coordinator.tick(2.0);
  f.coordinator.connection_ended(1, false, 2.0);
  f.coordinator.tick(9.0);
  CHECK(f.coordinator.workers_lost() == 0);
  f.coordinator.tick(9.3);
  CHECK(f.coordinator.workers_lost() == 1);
}

TEST_CASE("a truncation may take longer than the deadline as long as its inner steps get on") {
  Fixture f;
  f.one(1, hello());
  f.one(2, hello());
  proto::WorkerMessage progress;
  const auto tell = [&](int worker, std::int64_t step, double now) {
    progress.mutable_progress()->set_step(step);
    CHECK(f.coordinator.handle(worker, bytes_of(progress), now).empty());
    f.coordinator.tick(now);
  };
  // Worker 1 gets on; worker 2 says only that it stands where it stood.
  for (int i = 1; i <= 30; ++i) {
    tell(1, i, 1.0 + i);
    tell(2, 5, 1.0 + i);
  }
  REQUIRE(f.coordinator.losses().size() == 1);
  const auto& loss = f.coordinator.losses().front();
  CHECK(loss.worker == 2);
  CHECK(loss.reason == "no progress for 10 s");
  CHECK(coordinator::noticed_by_name(loss.noticed_by) == std::string("deadline"));
  CHECK(loss.after <= 1.0);
  // The next piece of work begins at step 0 again.
  f.one(1, gradient_bytes(0), 31.5);
  tell(1, 2, 41.0);
  tell(1, 3, 50.0);
  CHECK(f.coordinator.workers_lost() == 1);
  // What a lost worker, or nobody, says about progress is not answered either, and changes nothing.
  CHECK(f.coordinator.handle(2, bytes_of(progress), 51.0).empty());
  CHECK(f.coordinator.handle(77, bytes_of(progress), 51.0).empty());
  CHECK(f.coordinator.membership().members().size() == 2);
  // Nothing at all: silent.
  f.coordinator.tick(61.5);
  REQUIRE(f.coordinator.losses().size() == 2);
  CHECK(f.coordinator.losses().back().reason == "silent for 10 s");
  CHECK(f.coordinator.losses().back().after == Approx(11.5));
}

TEST_CASE(
    "a worker that is started in a lost one's place has time while it gets on, and none once it ended") {
  auto o = options();
  o.replaces = true;
  Fixture f(o, {1});
  f.one(1, hello());
  f.coordinator.process_ended(1, 2.0);
  CHECK(coordinator::noticed_by_name(f.coordinator.losses().front().noticed_by) == std::string("process"));
  f.coordinator.expect(2, 2.0);
  proto::WorkerMessage progress;
  for (int i = 1; i <= 4; ++i) {
    progress.mutable_progress()->set_step(i);
    CHECK(f.coordinator.handle(2, bytes_of(progress), 2.0 + 9.0 * i).empty());
    f.coordinator.tick(2.0 + 9.0 * i);
  }
  CHECK_FALSE(f.coordinator.finished());
  f.coordinator.connection_ended(2, false, 38.0);
  for (double now = 38.1; now < 40.0; now += 0.2) f.coordinator.tick(now);
  CHECK(f.coordinator.finished());
  CHECK(f.recorder.warnings.back().find("has ended before its hello") != std::string::npos);
}

TEST_CASE("more losses than the budget, or the loss of everyone, end the run") {
  auto o = options();
  o.max_failures = 0;
  Fixture f(o);
  proto::WorkerMessage failure;
  failure.mutable_failure()->set_message("its disk is gone");
  f.coordinator.handle(1, bytes_of(failure), 1.0);
  CHECK(f.coordinator.stop_reason() == StopReason::failures);
  CHECK(f.recorder.warnings.at(0).find("its disk is gone") != std::string::npos);
  Fixture all(options(), {1});
  all.coordinator.tick(100.0);
  CHECK(all.coordinator.stop_reason() == StopReason::failures);
  CHECK(all.coordinator.finished());
}
