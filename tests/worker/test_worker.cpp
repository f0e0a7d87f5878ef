// Workers and the coordinator together in one process: a whole job over queues.
#include <cmath>
#include <deque>
#include <map>

#include "common/base/error.h"
#include "coordinator/coordinator.h"
#include "tests/catch.h"
#include "tests/coordinator/options.h"
#include "tests/coordinator/recorder.h"
#include "tests/toy_engine.h"
#include "tests/virtual_clock.h"
#include "worker/pulse.h"
#include "worker/worker.h"

using namespace outerloop;
using coordinator::Coordinator;
using coordinator::StopReason;
using tests::Recorder;
using worker::Worker;

namespace {

constexpr std::int64_t kParameters = 5;
const tests::VirtualClock kClock;

store::Checkpoint start_state(const tests::ToyEngine& engine) {
  store::Checkpoint start;
  start.rule.rule = "neuron_local";
  start.rule.layout = engine.theta_layout();
  start.rule.theta = rule::initial_theta(engine.theta_layout(), 1);
  return start;
}

/// As long as it lives, an inner step is interrupted.
class Interruption {
 public:
  explicit Interruption(rule::Engine& engine) : engine_(engine) {
    engine_.set_after_step([] { throw worker::Interrupted(); });
  }
  ~Interruption() { engine_.set_after_step({}); }

 private:
  rule::Engine& engine_;
};

/// What the worker says to an answer that carries so many zeros as θ.
proto::WorkerMessage reply_to(const proto::CoordinatorMessage& answer, std::size_t floats, Worker& worker) {
  const auto frame =
      worker.handle(net::encode({answer.SerializeAsString(), std::vector<float>(floats)}), kClock);
  REQUIRE(frame.has_value());
  proto::WorkerMessage message;
  for (const auto& ahead : worker.take_ahead()) {
    proto::WorkerMessage stream;
    REQUIRE(stream.ParseFromString(ahead.header));
    CHECK(stream.kind_case() == proto::WorkerMessage::KIND_NOT_SET);
    CHECK(stream.streams_size() + stream.given_up_size() == 1);
    message.MergeFrom(stream);
  }
  proto::WorkerMessage last;
  REQUIRE(last.ParseFromString(frame->header));
  CHECK(last.streams_size() + last.given_up_size() <= 1);
  message.MergeFrom(last);
  return message;
}

/// A worker that has streams 4 and 7 and has given its first gradient, of stream 4.
struct TwoStreams {
  explicit TwoStreams(bool deterministic)
      : worker({engine, tasks, 1, 1, 1}, {0.0, "here", 1, 10.0, deterministic}) {
    proto::CoordinatorMessage first;
    for (const std::uint32_t stream : {4u, 7u}) first.add_assign()->set_stream(stream);
    hand(first, kParameters);
    CHECK(message.gradient().stream() == 4);
  }

  void hand(const proto::CoordinatorMessage& answer, std::size_t floats) {
    message = reply_to(answer, floats, worker);
  }

  tests::ToyEngine engine{kParameters};
  data::TaskDistribution tasks = tests::toy_tasks(1);
  Worker worker;
  proto::WorkerMessage message;  ///< its last
};

/// Runs until everyone has left; messages are delivered round robin.
void run(Coordinator& coordinator, std::map<int, Worker>& workers) {
  std::deque<std::pair<int, std::string>> inbox;
  double now = 0.0;
  for (auto& [number, worker] : workers) inbox.emplace_back(number, net::encode(worker.hello()));
  while (!coordinator.finished()) {
    REQUIRE_FALSE(inbox.empty());
    const auto [from, bytes] = inbox.front();
    inbox.pop_front();
    now += 0.001;
    for (const auto& answer : coordinator.handle(from, bytes, now))
      if (const auto next = workers.at(answer.to).handle(net::encode(answer.frame), kClock)) {
        for (const auto& ahead : workers.at(answer.to).take_ahead())
          inbox.emplace_back(answer.to, net::encode(ahead));
        inbox.emplace_back(answer.to, net::encode(*next));
      }
    coordinator.tick(now);
  }
}

double distance(const std::vector<double>& theta) {
  double squares = 0.0;
  for (const double value : theta)
    squares += (value - tests::ToyEngine::kTarget) * (value - tests::ToyEngine::kTarget);
  return squares;
}

}  // namespace

TEST_CASE("a job finds the minimum of a known meta-objective, with fewer or more workers than streams") {
  const auto workers_and_streams = {std::pair{1, 1}, std::pair{3, 3}, std::pair{2, 7}, std::pair{5, 2}};
  for (const auto& [worker_count, streams] : workers_and_streams) {
    tests::ToyEngine engine(kParameters);
    const auto tasks = tests::toy_tasks(1);
    auto options = tests::coordinator_options();
    options.updates = 300;
    options.batch = 2;
    options.streams = streams;
    options.staleness_bound = 8;
    options.adam.learning_rate = 0.05;
    options.checkpoint_every = 50;
    Recorder observer;
    std::vector<int> numbers;
    std::map<int, Worker> workers;
    for (int i = 1; i <= worker_count; ++i) {
      numbers.push_back(i);
      workers.emplace(i, Worker({engine, tasks, 1, 1, 3}, {0.0, "here", i, 10.0}));
    }
    Coordinator coordinator(options, start_state(engine), numbers, observer, 0.0);
    run(coordinator, workers);
    CHECK(coordinator.update() == 300);
    CHECK(distance(coordinator.snapshot().rule.theta) < 1e-2);
    CHECK(coordinator.snapshot().streams.size() == static_cast<std::size_t>(streams));
    CHECK(observer.checkpoints.size() >= 4);
    for (const auto& checkpoint : observer.checkpoints)
      CHECK(checkpoint.streams.size() == static_cast<std::size_t>(streams));
    CHECK(observer.warnings.empty());
    for (const auto& answer : coordinator.release()) {
      CHECK_FALSE(workers.at(answer.to).handle(net::encode(answer.frame), kClock).has_value());
      CHECK(workers.at(answer.to).may_finalize());
    }
  }
}

TEST_CASE(
    "deterministic: one truncation of every stream with each θ, and streams as they stood when it was new") {
  TwoStreams job(true);
  proto::CoordinatorMessage go_on;
  job.hand(go_on, 0);
  CHECK(job.message.gradient().stream() == 7);
  job.hand(go_on, 0);
  CHECK(job.message.waiting());
  CHECK(job.worker.pause() > 0.0);

  proto::CoordinatorMessage asked;
  asked.set_send_streams(true);
  job.hand(asked, 0);
  REQUIRE(job.message.streams_size() == 2);
  CHECK(job.message.streams(0).step() == 0);  // at θ 0 no step had been taken
  asked.set_theta_version(1);
  asked.add_restart(7);
  job.hand(asked, kParameters);
  CHECK(job.message.gradient().stream() == 4);
  CHECK(job.message.gradient().theta_version() == 1);
  CHECK(job.message.gradient().step() == 1);
  REQUIRE(job.message.streams_size() == 2);
  CHECK(job.message.streams(0).step() == 1);
  CHECK(job.message.streams(1).task() == 1);  // began its next task, as it was told to
  CHECK(job.message.streams(1).step() == 0);

  proto::CoordinatorMessage rollback;
  rollback.set_segment(1);
  rollback.add_assign()->set_stream(7);
  job.hand(rollback, kParameters);
  CHECK(job.message.segment() == 1);
  CHECK(job.message.gradient().stream() == 7);
  CHECK(job.message.gradient().task() == 0);
  go_on.set_segment(1);
  job.hand(go_on, 0);
  CHECK(job.message.waiting());  // stream 4 is another's now
}

TEST_CASE("a stream that is asked back is sent as it stands, and not worked on any more") {
  TwoStreams job(false);
  proto::CoordinatorMessage asked;
  for (const std::uint32_t stream : {4u, 99u}) asked.add_give_up(stream);
  job.hand(asked, 0);
  REQUIRE(job.message.given_up_size() == 1);
  CHECK(job.message.given_up(0).stream() == 4);
  CHECK(job.message.given_up(0).step() == 1);
  CHECK(job.message.given_up(0).lanes_size() > 0);
  const proto::CoordinatorMessage go_on;
  for (int i = 0; i < 3; ++i) {
    CHECK(job.message.gradient().stream() == 7);
    job.hand(go_on, 0);
    CHECK(job.message.given_up_size() == 0);
  }
  proto::CoordinatorMessage last;
  last.add_give_up(7);
  job.hand(last, 0);
  CHECK(job.message.waiting());
  CHECK(job.message.given_up_size() == 1);
  proto::CoordinatorMessage stop;
  stop.set_command(proto::CoordinatorMessage::stop);
  job.hand(stop, 0);
  CHECK(job.message.streams_size() == 0);
}

TEST_CASE("a truncation that a signal interrupts is as if it had not begun, and the signal is said") {
  for (const bool deterministic : {false, true}) {
    TwoStreams job(deterministic);
    {
      const Interruption interruption(job.engine);
      job.hand({}, 0);
    }
    CHECK(job.message.waiting());
    CHECK(job.message.signalled());
    proto::CoordinatorMessage asked;
    asked.set_send_streams(true);
    asked.set_command(proto::CoordinatorMessage::pause);
    job.hand(asked, 0);
    REQUIRE(job.message.streams_size() == 2);
    CHECK(job.message.streams(1).stream() == 7);
    CHECK(job.message.streams(1).step() == 0);
    CHECK(job.message.streams(1).task() == 0);
    if (!deterministic) continue;
    // The same θ, and the stream's turn is still to come.
    job.hand({}, 0);
    CHECK(job.message.gradient().stream() == 7);
    CHECK(job.message.gradient().step() == 0);
  }
}

TEST_CASE("progress is told once a second at most, and says whose truncation it is") {
  TwoStreams job(false);
  proto::WorkerMessage message;
  REQUIRE(message.ParseFromString(job.worker.progress(12).header));
  CHECK(message.progress().stream() == 4);
  CHECK(message.progress().step() == 12);

  tests::VirtualClock clock(0.25);  // each look: a quarter of a second later
  std::vector<std::int64_t> told;
  worker::Pulse pulse(clock, {[&](std::int64_t step) { told.push_back(step); }, {}});
  pulse.begin();
  for (int i = 0; i < 10; ++i) pulse.step();
  CHECK(told == std::vector<std::int64_t>{4, 8});
  pulse.begin();
  for (int i = 0; i < 3; ++i) pulse.step();
  CHECK(told.size() == 2);
  pulse.step();
  CHECK(told == std::vector<std::int64_t>{4, 8, 4});
}

TEST_CASE("a signal interrupts what takes longer than five seconds more") {
  tests::VirtualClock clock(1.0);
  bool signalled = false;
  worker::Pulse pulse(clock, {[](std::int64_t) {}, [&] { return signalled; }});
  pulse.begin();
  for (int i = 0; i < 100; ++i) pulse.step();
  signalled = true;
  for (int i = 0; i < 6; ++i) pulse.step();
  CHECK_THROWS_AS(pulse.step(), worker::Interrupted);
  pulse.begin();
  CHECK_THROWS_AS(pulse.step(), worker::Interrupted);  // what begins after it does not wait again
}

TEST_CASE("gradients are clipped on the worker, and their norm before clipping is reported") {
  tests::ToyEngine engine(kParameters);
  const auto tasks = tests::toy_tasks(1);
  Worker worker({engine, tasks, 1, 1, 1}, {0.5, "here", 1, 10.0});
  proto::CoordinatorMessage work;
  work.add_assign()->set_stream(0);
  const std::vector<float> theta(kParameters, 0.0f);
  const auto frame = worker.handle(net::encode({work.SerializeAsString(), theta}), kClock);
  REQUIRE(frame.has_value());
  proto::WorkerMessage message;
  REQUIRE(message.ParseFromString(frame->header));
  CHECK(message.gradient().norm() == Approx(std::sqrt(9.0 * kParameters)));
  double squares = 0.0;
  for (const float value : frame->floats) squares += value * value;
  CHECK(std::sqrt(squares) == Approx(0.5));
  CHECK_FALSE(message.has_streams());
}

TEST_CASE("a worker without streams waits, less and less often, and a refused one ends") {
  tests::ToyEngine engine(kParameters);
  const auto tasks = tests::toy_tasks(1);
  Worker worker({engine, tasks, 1, 1, 1}, {0.5, "here", 1, 10.0});
  const proto::CoordinatorMessage work;
  const auto frame =
      worker.handle(net::encode({work.SerializeAsString(), std::vector<float>(kParameters)}), kClock);
  REQUIRE(frame.has_value());
  proto::WorkerMessage message;
  REQUIRE(message.ParseFromString(frame->header));
  CHECK(message.waiting());
  const double pause = worker.pause();
  CHECK(pause > 0.0);
  worker.handle(net::encode({work.SerializeAsString(), {}}), kClock);
  CHECK(worker.pause() > pause);
  proto::CoordinatorMessage refused;
  refused.set_command(proto::CoordinatorMessage::refused);
  CHECK_FALSE(worker.handle(net::encode({refused.SerializeAsString(), {}}), kClock).has_value());
  CHECK(worker.refused());
  CHECK_FALSE(worker.may_finalize());
  CHECK_THROWS_AS(worker.handle("rubbish", kClock), InputError);
  CHECK_THROWS_AS(Worker({engine, tasks, 1, 1, 1}, {}), Error);  // it would wait for no answer at all
  CHECK_THROWS_AS(worker.handle(net::encode({work.SerializeAsString(), {1.0f}}), kClock),
                  Error);  // θ of another size
}
