#pragma once
// A coordinator of two workers and two streams, and the messages that tests send it.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/store/stream_message.h"
#include "coordinator/coordinator.h"
#include "tests/catch.h"
#include "tests/coordinator/options.h"
#include "tests/coordinator/recorder.h"

namespace outerloop::tests::job {

using coordinator::Coordinator;

inline constexpr std::size_t kParameters = 3;

inline store::Checkpoint start_state() {
  store::Checkpoint start;
  start.rule.rule = "neuron_local";
  start.rule.layout = rule::Layout({{"toy", {3}, "one", rule::Initializer::constant(1.0), false, 0}});
  start.rule.theta = {1.0, 1.0, 1.0};
  return start;
}

inline coordinator::CoordinatorOptions options() {
  auto o = tests::coordinator_options();
  o.batch = 2;
  o.streams = 2;
  o.staleness_bound = 1;
  o.reject_norm = 100.0;
  o.adam.learning_rate = 0.1;
  o.deadline = 10.0;
  return o;
}

inline std::string bytes_of(const proto::WorkerMessage& message, std::vector<float> floats = {}) {
  return net::encode({message.SerializeAsString(), std::move(floats)});
}

inline std::string hello() {
  proto::WorkerMessage message;
  message.mutable_hello()->set_protocol(store::kProtocol);
  message.mutable_hello()->set_host("here");
  return bytes_of(message);
}

inline proto::WorkerMessage gradient(std::int64_t version, std::uint32_t stream = 0, double norm = 1.0) {
  proto::WorkerMessage message;
  auto& g = *message.mutable_gradient();
  g.set_stream(stream);
  g.set_theta_version(version);
  g.set_meta_objective(2.0);
  g.set_norm(norm);
  g.set_dataset("toy");
  return message;
}

inline std::string gradient_bytes(std::int64_t version, std::vector<float> floats = {1.0f, -1.0f, 0.0f},
                                  double norm = 1.0) {
  return bytes_of(gradient(version, 0, norm), std::move(floats));
}

inline proto::CoordinatorMessage read(const coordinator::Answer& answer) {
  proto::CoordinatorMessage message;
  REQUIRE(message.ParseFromString(answer.frame.header));
  return message;
}

struct Fixture {
  explicit Fixture(coordinator::CoordinatorOptions o = options(), std::vector<int> workers = {1, 2})
      : coordinator(o, start_state(), workers, recorder, 0.0) {}
  coordinator::Answer one(int from, const std::string& bytes, double now = 1.0) {
    const auto answers = coordinator.handle(from, bytes, now);
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].to == from);
    return answers[0];
  }
  Recorder recorder;
  Coordinator coordinator;
};

inline std::int64_t count(const std::map<std::string, std::int64_t>& counts, const std::string& cause) {
  const auto found = counts.find(cause);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace outerloop::tests::job
