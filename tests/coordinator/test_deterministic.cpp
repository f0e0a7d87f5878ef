// Deterministic mode of the coordinator: one gradient of every stream, in stream order; refusals as zeros;
// losses lead back to the last checkpoint; a stop keeps where the streams stood at its θ.
#include <algorithm>
#include <map>
#include <string>

#include "common/base/error.h"
#include "common/store/stream_message.h"
#include "coordinator/coordinator.h"
#include "tests/catch.h"
#include "tests/coordinator/options.h"
#include "tests/coordinator/recorder.h"

using namespace outerloop;
using coordinator::Coordinator;
using coordinator::StopReason;
using tests::Recorder;

namespace {

coordinator::CoordinatorOptions options() {
  auto o = tests::coordinator_options();
  o.deterministic = true;
  o.batch = 4;
  o.streams = 4;
  o.reject_norm = 100.0;
  o.adam.learning_rate = 0.1;
  o.deadline = 10.0;
  return o;
}

store::Checkpoint start_state() {
  store::Checkpoint start;
  start.rule.rule = "neuron_local";
  start.rule.layout = rule::Layout({{"toy", {1}, "one", rule::Initializer::constant(1.0), false, 0}});
  start.rule.theta = {1.0};
  return start;
}

proto::WorkerMessage hello(const std::string& instruction_set = "avx2") {
  proto::WorkerMessage message;
  message.mutable_hello()->set_protocol(store::kProtocol);
  message.mutable_hello()->set_engine("toy");
  message.mutable_hello()->set_instruction_set(instruction_set);
  return message;
}

proto::WorkerMessage waiting() {
  proto::WorkerMessage message;
  message.set_waiting(true);
  return message;
}

/// Workers 1 and 2 have streams 0, 2 and 1, 3.
struct Fixture {
  explicit Fixture(coordinator::CoordinatorOptions o = options())
      : coordinator(o, start_state(), {1, 2}, recorder, 0.0) {
    for (const int worker : {1, 2}) send(worker, hello());
  }

  coordinator::Answer send(int from, const proto::WorkerMessage& message, std::vector<float> floats = {}) {
    const auto bytes = net::encode({message.SerializeAsString(), std::move(floats)});
    const auto answers = coordinator.handle(from, bytes, now += 0.001);
    REQUIRE(answers.size() == 1);
    answer = proto::CoordinatorMessage();
    REQUIRE(answer.ParseFromString(answers[0].frame.header));
    return answers[0];
  }

  proto::WorkerMessage gradient(std::uint32_t stream, double norm = 1.0) const {
    proto::WorkerMessage message;
    message.set_segment(coordinator.segment());
    message.mutable_gradient()->set_stream(stream);
    message.mutable_gradient()->set_theta_version(coordinator.update());
    message.mutable_gradient()->set_norm(norm);
    return message;
  }

  void one_update() {
    for (const std::uint32_t stream : {0u, 1u, 2u, 3u}) send(owner(stream), gradient(stream), {1.0f});
  }

  int owner(std::uint32_t stream) const {
    for (const auto& [number, member] : coordinator.membership().members())
      if (std::count(member.streams.begin(), member.streams.end(), stream) > 0) return number;
    FAIL("nobody has stream " << stream);
    return 0;
  }

  /// `worker` waits and sends its streams, each in task `task`.
  void send_streams(int worker, std::uint32_t task) {
    auto message = waiting();
    message.set_segment(coordinator.segment());
    message.set_has_streams(true);
    for (const std::uint32_t stream : {0u, 2u}) {
      auto& state = *message.add_streams();
      state.set_stream(stream + static_cast<std::uint32_t>(worker) - 1);
      state.set_task(task);
    }
    send(worker, message);
  }

  Recorder recorder;
  Coordinator coordinator;
  proto::CoordinatorMessage answer;  ///< the newest
  double now = 0.0;
};

/// θ after one update whose gradients came in the order `streams`.
double theta_after(const std::vector<std::uint32_t>& streams) {
  Fixture f;
  const float gradients[] = {1e8f, 1.0f, -1e8f, 1e-3f};  // their sum depends on its order
  for (const auto stream : streams) f.send(stream % 2 == 0 ? 1 : 2, f.gradient(stream), {gradients[stream]});
  REQUIRE(f.coordinator.update() == 1);
  CHECK(f.recorder.updates[0].batch.staleness_max == 0);
  return f.coordinator.snapshot().adam_m[0];
}

}  // namespace

TEST_CASE("an update waits for one gradient of every stream and sums them in stream order") {
  const double expected = theta_after({0, 1, 2, 3});
  CHECK(theta_after({3, 2, 1, 0}) == expected);
  CHECK(theta_after({2, 0, 3, 1}) == expected);
  Fixture f;
  for (const std::uint32_t stream : {0u, 1u, 2u}) f.send(f.owner(stream), f.gradient(stream), {1.0f});
  f.send(1, f.gradient(0), {1.0f});
  CHECK(f.coordinator.refused().at("duplicate") == 1);
  CHECK(f.coordinator.update() == 0);
  CHECK(f.coordinator.pending() == 3);
}

TEST_CASE("nobody fills the place of another worker's stream") {
  Fixture f;
  f.send(2, f.gradient(0), {7.0f});
  CHECK(f.coordinator.refused().at("layout") == 1);
  CHECK(f.coordinator.pending() == 0);
  f.one_update();
  CHECK(f.coordinator.update() == 1);
  CHECK(f.recorder.updates[0].batch.gradient_norm == 1.0);
}

TEST_CASE("a refused gradient counts as zero, the divisor stays, and its stream begins its next task") {
  Fixture f;
  f.send(1, f.gradient(0), {4.0f});
  f.send(2, f.gradient(1, 1000.0), {4.0f});
  REQUIRE(f.answer.restart_size() == 1);
  CHECK(f.answer.restart(0) == 1);
  auto dead = f.gradient(2);
  dead.mutable_gradient()->set_outcome(proto::Gradient::dead_features);
  f.send(1, dead);
  CHECK(f.answer.restart_size() == 0);  // the worker has seen to it
  CHECK(f.coordinator.refused().empty());
  f.send(2, f.gradient(3), {4.0f});
  REQUIRE(f.coordinator.update() == 1);
  CHECK(f.recorder.updates[0].batch.gradient_norm == 2.0);  // (4 + 0 + 0 + 4) / 4
  CHECK(f.coordinator.gradients() == 2);
  CHECK(f.coordinator.refused().at("norm") == 1);
  CHECK(f.coordinator.tallies().at(1).refused.at("dead_features") == 1);
}

TEST_CASE("an update without any gradient is one all the same") {
  Fixture f;
  for (const std::uint32_t stream : {0u, 1u, 2u, 3u})
    f.send(f.owner(stream), f.gradient(stream, 1000.0), {1.0f});
  CHECK(f.coordinator.update() == 1);
  CHECK(f.coordinator.snapshot().rule.theta[0] == 1.0);
}

TEST_CASE("a lost worker leads back to the last checkpoint, and what is in flight is refused") {
  auto o = options();
  o.checkpoint_every = 2;
  Fixture f(o);
  f.one_update();
  f.one_update();
  CHECK(f.answer.send_streams());
  f.send_streams(1, 5);
  CHECK(f.recorder.checkpoints.empty());
  f.send_streams(2, 6);
  REQUIRE(f.recorder.checkpoints.size() == 1);
  const auto checkpoint = f.recorder.checkpoints[0];
  CHECK(checkpoint.rule.engine == "toy");
  CHECK(checkpoint.rule.instruction_set == "avx2");
  f.one_update();
  const auto in_flight = f.gradient(0);
  f.send(1, f.gradient(2), {1.0f});
  proto::WorkerMessage failure;
  failure.mutable_failure()->set_message("gone");
  CHECK(f.coordinator.handle(2, net::encode({failure.SerializeAsString(), {}}), f.now).empty());
  CHECK(f.recorder.rollbacks == std::vector<std::int64_t>{2});
  CHECK(f.coordinator.update() == 2);
  CHECK(f.coordinator.pending() == 0);
  const auto now = f.coordinator.snapshot();
  CHECK(now.rule.theta == checkpoint.rule.theta);
  CHECK(now.adam_m == checkpoint.adam_m);
  CHECK(now.adam_step == 2);
  CHECK(now.history.at("update").size() == 2);
  CHECK(now.counters.at("gradients") == 8);
  CHECK(now.counters.at("workers_lost") == 1);

  const auto answer = f.send(1, in_flight, {1.0f});
  CHECK(f.coordinator.pending() == 0);
  CHECK(f.coordinator.refused().at("stale") == 1);
  CHECK(f.answer.segment() == 1);
  CHECK(answer.frame.floats.size() == 1);
  REQUIRE(f.answer.assign_size() == 4);
  CHECK(f.answer.assign(0).task() == 5);
  CHECK(f.answer.assign(1).task() == 6);
}

TEST_CASE("a worker without streams may go without a rollback") {
  auto o = options();
  Fixture f(o);
  f.send(3, hello());
  f.send(1, f.gradient(0), {1.0f});
  f.coordinator.handle(3,
                       net::encode({[] {
                                      proto::WorkerMessage message;
                                      message.mutable_failure()->set_message("gone");
                                      return message.SerializeAsString();
                                    }(),
                                    {}}),
                       f.now);
  CHECK(f.coordinator.workers_lost() == 1);
  CHECK(f.recorder.rollbacks.empty());
  CHECK(f.coordinator.pending() == 1);
}

TEST_CASE("a newcomer gets its share of the streams with the next update, as they stood when its θ was new") {
  Fixture f;
  f.send(3, hello());
  CHECK(f.answer.assign_size() == 0);
  f.one_update();
  CHECK(f.answer.send_streams());
  f.send(1, f.gradient(0), {1.0f});  // on its way before it was asked: this will be computed again
  f.send_streams(1, 5);
  CHECK(f.answer.segment() == 0);
  f.send_streams(2, 6);
  REQUIRE(f.recorder.checkpoints.size() == 1);
  CHECK(f.recorder.checkpoints[0].rule.update == 1);
  CHECK(f.recorder.rollbacks == std::vector<std::int64_t>{1});
  CHECK(f.coordinator.update() == 1);
  CHECK(f.coordinator.pending() == 0);
  CHECK(f.coordinator.workers_lost() == 0);
  CHECK(f.answer.segment() == 1);
  REQUIRE(f.answer.assign_size() == 1);
  CHECK(f.answer.assign(0).stream() == 1);
  CHECK(f.answer.assign(0).task() == 6);
  f.send(3, waiting());
  REQUIRE(f.answer.assign_size() == 1);
  CHECK(f.answer.assign(0).stream() == 2);
  CHECK(f.answer.assign(0).task() == 5);
  f.send(1, waiting());
  CHECK(f.answer.assign_size() == 2);
  // Once is enough.
  f.one_update();
  CHECK_FALSE(f.answer.send_streams());
  CHECK(f.coordinator.update() == 2);
}

TEST_CASE("a stop in the middle of an update first asks where the streams stood at its θ") {
  Fixture f;
  f.one_update();
  f.send(1, f.gradient(0), {1.0f});
  f.coordinator.request_stop(StopReason::signal);
  CHECK(f.coordinator.stop_reason() == StopReason::none);
  f.send(2, f.gradient(1), {1.0f});
  CHECK(f.answer.command() == proto::CoordinatorMessage::pause);
  CHECK(f.answer.send_streams());
  CHECK(f.answer.theta_version() == 1);
  f.send_streams(1, 7);
  CHECK(f.coordinator.stop_reason() == StopReason::none);
  f.send_streams(2, 8);
  CHECK(f.answer.command() == proto::CoordinatorMessage::stop);
  CHECK(f.coordinator.stop_reason() == StopReason::signal);
  const auto last = f.coordinator.snapshot();
  CHECK(last.rule.update == 1);
  CHECK(last.counters.at("gradients") == 4);
  CHECK(last.streams[3].task == 8);
}

TEST_CASE("a loss while the streams of the last update are asked for leads back, and the run continues") {
  auto o = options();
  o.updates = 1;
  Fixture f(o);
  f.one_update();
  CHECK(f.answer.command() == proto::CoordinatorMessage::pause);
  f.send_streams(1, 1);
  proto::WorkerMessage failure;
  failure.mutable_failure()->set_message("gone");
  f.coordinator.handle(2, net::encode({failure.SerializeAsString(), {}}), f.now);
  CHECK(f.coordinator.stop_reason() == StopReason::none);
  CHECK(f.coordinator.update() == 0);
  f.send(1, waiting());
  CHECK(f.answer.command() == proto::CoordinatorMessage::work);
  CHECK(f.answer.assign_size() == 4);
}

TEST_CASE("a worker of another instruction set or program version is refused") {
  Fixture f;
  f.send(3, hello("sse4"));
  CHECK(f.answer.command() == proto::CoordinatorMessage::refused);
  CHECK(f.recorder.warnings.at(0).find("sse4") != std::string::npos);
  auto old = hello();
  old.mutable_hello()->set_protocol(store::kProtocol - 1);
  f.send(4, old);
  CHECK(f.answer.command() == proto::CoordinatorMessage::refused);
  CHECK(f.coordinator.stop_reason() == StopReason::none);
}

TEST_CASE("a checkpoint that lacks streams is refused") {
  Recorder recorder;
  auto start = start_state();
  start.rule.update = 3;
  start.streams.resize(3);
  CHECK_THROWS_AS(Coordinator(options(), start, {1, 2}, recorder, 0.0), InputError);
}
