// Gradients that are the mean of several lanes': what is counted, what is refused, and what a bad rank may
// not do with them.
#include <limits>

#include "tests/coordinator/fixture.h"

using namespace outerloop;
using namespace outerloop::tests::job;

namespace {

coordinator::CoordinatorOptions lane_options(bool deterministic = false) {
  auto o = options();
  o.group = 3;
  o.datasets = {"toy", "other"};
  o.gradient_norm_clip = 1.0;
  o.deterministic = deterministic;
  return o;
}

/// Of three lanes: the second is of another dataset.
proto::WorkerMessage lanes(std::int64_t version, std::uint32_t stream = 0) {
  proto::WorkerMessage message;
  auto& g = *message.mutable_gradient();
  g.set_stream(stream);
  g.set_theta_version(version);
  for (int l = 0; l < 3; ++l) {
    auto& lane = *g.add_lanes();
    lane.set_meta_objective(1.0 + l);
    lane.set_norm(2.0 + l);
    lane.set_dataset(l == 1 ? "other" : "toy");
  }
  return message;
}

const std::vector<float> kFloats{0.6f, 0.0f, 0.0f};

}  // namespace

TEST_CASE("gradients are counted by lane, and a lane without one is a zero that its cause is counted for") {
  for (const bool deterministic : {false, true}) {
    Fixture f(lane_options(deterministic));
    for (const int worker : {1, 2}) f.one(worker, hello());
    auto first = lanes(0);
    first.mutable_gradient()->mutable_lanes(0)->set_outcome(proto::Gradient::dead_features);
    f.one(1, bytes_of(first, kFloats));
    CHECK(f.coordinator.pending() == 1);
    auto second = lanes(0, 1);
    second.mutable_gradient()->mutable_lanes(2)->set_outcome(proto::Gradient::too_long);
    f.one(2, bytes_of(second, kFloats));
    REQUIRE(f.coordinator.update() == 1);
    CHECK(f.coordinator.gradients() == 4);
    CHECK(count(f.coordinator.refused(), "dead_features") == 1);
    CHECK(count(f.coordinator.refused(), "norm") == 1);
    CHECK(f.coordinator.tallies().at(1).gradients == 2);
    CHECK(f.coordinator.tallies().at(2).refused.at("norm") == 1);
    const auto& batch = f.recorder.updates.at(0).batch;
    CHECK(batch.gradients == 4);
    CHECK(batch.meta_objective == Approx((2.0 + 3.0 + 1.0 + 2.0) / 4));
    CHECK(batch.meta_objective_of.at("other") == Approx(2.0));
    CHECK(batch.meta_objective_of.at("toy") == Approx((3.0 + 1.0) / 2));
    CHECK(batch.gradient_norm_of.at("other") == Approx(3.0));
    CHECK(batch.gradient_norm == Approx(0.6));  // the mean over two streams
    CHECK(batch.meta_objective_of_domain.at("images") == Approx(2.0));
  }
}

TEST_CASE("where no lane has a gradient, each lane is counted for its cause") {
  for (const bool deterministic : {false, true}) {
    Fixture f(lane_options(deterministic));
    for (const int worker : {1, 2}) f.one(worker, hello());
    auto message = lanes(0);
    auto& g = *message.mutable_gradient();
    g.set_outcome(proto::Gradient::not_finite);
    for (const auto& [lane, outcome] :
         {std::pair(0, proto::Gradient::not_finite), std::pair(1, proto::Gradient::dead_features),
          std::pair(2, proto::Gradient::dead_features)})
      g.mutable_lanes(lane)->set_outcome(outcome);
    CHECK(read(f.one(1, bytes_of(message))).restart_size() == 0);  // the stream has gone on by itself
    CHECK(f.coordinator.pending() == (deterministic ? 1 : 0));
    f.one(2, bytes_of(lanes(0, 1), kFloats));
    if (!deterministic) f.one(2, bytes_of(lanes(0, 1), kFloats));
    REQUIRE(f.coordinator.update() == 1);
    CHECK(count(f.coordinator.refused(), "not_finite") == 1);
    CHECK(count(f.coordinator.refused(), "dead_features") == 2);
    CHECK(f.recorder.updates.at(0).batch.gradient_norm == Approx(deterministic ? 0.3 : 0.6));
  }
}

TEST_CASE("lanes that a worker cannot have sent are refused whole") {
  Fixture f(lane_options());
  f.one(1, hello());
  const auto refused = [&](const char* cause, const std::vector<float>& floats, auto&& spoil) {
    auto message = lanes(0);
    spoil(*message.mutable_gradient());
    const auto before = count(f.coordinator.refused(), cause);
    f.one(1, bytes_of(message, floats));
    CHECK(f.coordinator.pending() == 0);
    return count(f.coordinator.refused(), cause) - before;
  };
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const auto none = [](proto::Gradient&) {};
  CHECK(refused("layout", kFloats, [](auto& g) { g.mutable_lanes()->RemoveLast(); }) == 3);
  CHECK(refused("layout", kFloats, [](auto& g) { g.clear_lanes(); }) == 3);
  CHECK(refused("layout", kFloats, [](auto& g) {
          for (int i = 0; i < 100000; ++i) *g.add_lanes() = g.lanes(0);
        }) == 3);
  CHECK(refused("layout", kFloats, [](auto& g) { g.mutable_lanes(2)->set_dataset("unknown"); }) == 3);
  CHECK(refused("layout", {0.1f}, none) == 3);
  CHECK(refused("layout", kFloats, [](auto& g) { g.set_stream(7); }) == 3);
  CHECK(refused("not_finite", kFloats, [&](auto& g) { g.mutable_lanes(1)->set_norm(kNan); }) == 3);
  CHECK(refused("not_finite", kFloats, [&](auto& g) { g.mutable_lanes(1)->set_meta_objective(kNan); }) == 3);
  CHECK(refused("not_finite", {std::numeric_limits<float>::infinity(), 0.0f, 0.0f}, none) == 3);
  CHECK(refused("norm", kFloats, [](auto& g) { g.mutable_lanes(1)->set_norm(1e9); }) == 3);
  CHECK(refused("norm", {0.9f, 0.5f, 0.0f}, none) == 3);  // of norm 1.03: nobody has clipped it
  CHECK(refused("stale", kFloats, [](auto& g) { g.set_theta_version(-1); }) == 3);
  const auto invented = static_cast<proto::Gradient::Outcome>(77);
  CHECK(refused("not_finite", kFloats, [&](auto& g) {
          for (auto& lane : *g.mutable_lanes()) lane.set_outcome(invented);
        }) == 3);
  f.one(1, bytes_of(lanes(0), kFloats));
  CHECK(f.coordinator.pending() == 1);
  CHECK(f.coordinator.workers_lost() == 0);
}

TEST_CASE("deterministic: a mean that is too long is a zero, and its stream begins its next round") {
  Fixture f(lane_options(true));
  for (const int worker : {1, 2}) f.one(worker, hello());
  const auto answer = read(f.one(1, bytes_of(lanes(0), {2.0f, 0.0f, 0.0f})));
  REQUIRE(answer.restart_size() == 1);
  CHECK(answer.restart(0) == 0);
  f.one(2, bytes_of(lanes(0, 1), kFloats));
  REQUIRE(f.coordinator.update() == 1);
  CHECK(count(f.coordinator.refused(), "norm") == 3);
  CHECK(f.coordinator.gradients() == 3);
}

TEST_CASE("a stream of another number of lanes, or with a lane that has no φ, is not taken") {
  const auto lost = [](auto&& spoil) {
    Fixture f(lane_options());
    f.one(1, hello());
    auto message = lanes(0);
    message.set_has_streams(true);
    auto& state = *message.add_streams();
    for (int l = 0; l < 3; ++l) {
      state.add_lanes()->set_dataset("toy");
      state.mutable_lanes(l)->add_phi(0.5);
    }
    spoil(state);
    f.one(1, bytes_of(message, kFloats));
    return f.coordinator.workers_lost() == 1;
  };
  CHECK_FALSE(lost([](auto&) {}));
  CHECK_FALSE(lost([](auto& state) { state.clear_lanes(); }));  // its round has not begun
  CHECK(lost([](auto& state) { state.mutable_lanes()->RemoveLast(); }));
  CHECK(lost([](auto& state) { state.mutable_lanes(2)->clear_phi(); }));
  CHECK(lost([](auto& state) { state.mutable_lanes(1)->set_step(-1); }));
  CHECK(lost([](auto& state) { state.mutable_lanes(1)->set_dataset("unknown"); }));
  CHECK(lost([](auto& state) { state.mutable_lanes(1)->add_phi(std::numeric_limits<double>::infinity()); }));
}

TEST_CASE("the newest task of any lane is remembered: a lost worker's streams begin above it") {
  Fixture f(lane_options());
  for (const int worker : {1, 2}) f.one(worker, hello());
  auto message = lanes(0);
  message.mutable_gradient()->set_task(4);
  message.mutable_gradient()->mutable_lanes(1)->set_task(9);
  f.one(1, bytes_of(message, kFloats));
  f.coordinator.process_ended(1, 2.0);
  const auto answer = read(f.one(2, bytes_of(lanes(0, 1), kFloats), 3.0));
  REQUIRE(answer.assign_size() == 1);
  CHECK(answer.assign(0).task() == 10);
  CHECK(answer.assign(0).lanes_size() == 0);
}

TEST_CASE("the running mean is over as many times more gradients as there are lanes") {
  Fixture f(lane_options());
  for (const int worker : {1, 2}) f.one(worker, hello());
  for (int i = 0; i < 100; ++i) f.one(1, bytes_of(lanes(f.coordinator.update()), kFloats));
  CHECK(f.coordinator.snapshot().counters.at("smoothed.other") == 100);
  CHECK(f.coordinator.snapshot().counters.at("smoothed.toy") == 150);
}

TEST_CASE("streams that together exceed the bytes of an answer go out one after another") {
  auto start = start_state();
  for (std::uint32_t i = 0; i < 3; ++i) {
    store::StreamState stream;
    stream.stream = i;
    stream.lanes.resize(1);
    stream.lanes[0].phi.assign(100, 0.5);
    start.streams.push_back(stream);
  }
  auto o = options();
  o.streams = 3;
  for (const std::int64_t bytes : {std::int64_t{1}, std::int64_t{2000}, std::int64_t{1} << 28}) {
    o.assign_bytes = bytes;
    outerloop::tests::Recorder recorder;
    Coordinator coordinator(o, start, {1}, recorder, 0.0);
    std::vector<int> sizes{read(coordinator.handle(1, hello(), 1.0).at(0)).assign_size()};
    for (int i = 0; i < 3; ++i)
      sizes.push_back(read(coordinator.handle(1, gradient_bytes(0), 2.0).at(0)).assign_size());
    CHECK(sizes == (bytes == 1      ? std::vector<int>{1, 1, 1, 0}
                    : bytes == 2000 ? std::vector<int>{2, 1, 0, 0}
                                    : std::vector<int>{3, 0, 0, 0}));
  }
}
