// What a rank may not do to a run with what it sends: numbers, names, streams, sizes and text.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "tests/coordinator/fixture.h"

using namespace outerloop;
using namespace outerloop::tests::job;

namespace {

/// Names, the clip and the text of a run that a bad rank may not change.
coordinator::CoordinatorOptions strict_options() {
  auto o = options();
  o.datasets = {"toy"};
  o.gradient_norm_clip = 1.0;
  return o;
}

proto::WorkerMessage with_stream(std::uint32_t stream, double phi, const std::string& dataset = "toy") {
  auto message = gradient(0);
  message.set_has_streams(true);
  auto& state = *message.add_streams();
  state.set_stream(stream);
  auto& lane = *state.add_lanes();
  lane.set_dataset(dataset);
  lane.add_phi(phi);
  return message;
}

}  // namespace

TEST_CASE("versions below zero, unknown datasets and gradients that were not clipped are refused") {
  Fixture f(strict_options());
  f.one(1, hello());
  constexpr auto kLowest = std::numeric_limits<std::int64_t>::min();
  for (const std::int64_t version : {kLowest, kLowest + 1, std::int64_t{-1}, std::int64_t{1}})
    f.one(1, gradient_bytes(version, {0.1f, 0.0f, 0.0f}));
  CHECK(count(f.coordinator.refused(), "stale") == 4);
  auto unknown = gradient(0);
  for (int i = 0; i < 50; ++i) {
    unknown.mutable_gradient()->set_dataset("toy" + std::to_string(i));
    f.one(1, bytes_of(unknown, {0.1f, 0.0f, 0.0f}));
  }
  CHECK(count(f.coordinator.refused(), "layout") == 50);
  f.one(1, gradient_bytes(0, {0.9f, 0.5f, 0.0f}));  // of norm 1.03, and 1 by its own account
  CHECK(count(f.coordinator.refused(), "norm") == 1);
  f.one(1, gradient_bytes(0, {0.6f, 0.8f, 0.0f}, 7.0));  // clipped: it was 7 before
  CHECK(f.coordinator.pending() == 1);
  CHECK(f.coordinator.snapshot().history.size() == start_state().history.size());
}

TEST_CASE("a stream is taken from its owner alone, finite and of a known dataset") {
  const auto kept = [](const proto::WorkerMessage& message) {
    Fixture f(strict_options());
    for (const int worker : {1, 2}) f.one(worker, hello());  // streams 0 and 1
    const auto answer = read(f.one(1, bytes_of(message, {0.1f, 0.0f, 0.0f})));
    const bool lost = f.coordinator.workers_lost() == 1;
    CHECK(lost == (answer.command() == proto::CoordinatorMessage::refused));
    const auto streams = f.coordinator.snapshot().streams;
    CHECK(std::all_of(streams.begin(), streams.end(), [](const auto& state) {
      return std::all_of(state.lanes.begin(), state.lanes.end(), [](const auto& lane) {
        return std::all_of(lane.phi.begin(), lane.phi.end(),
                           [](double value) { return std::isfinite(value); });
      });
    }));
    return !lost && streams.at(0).lanes.size() == 1;
  };
  CHECK(kept(with_stream(0, 0.5)));
  CHECK_FALSE(kept(with_stream(1, 0.5)));
  CHECK_FALSE(kept(with_stream(0, std::numeric_limits<double>::quiet_NaN())));
  CHECK_FALSE(kept(with_stream(0, 0.5, "another")));
  auto noise = with_stream(0, 0.5);
  noise.mutable_streams(0)->mutable_lanes(0)->add_pairs()->add_noise(std::numeric_limits<double>::infinity());
  CHECK_FALSE(kept(noise));
}

TEST_CASE("a stream is taken only with as many values as its units and θ have") {
  const auto taken = [](const std::function<void(proto::LaneState&)>& change) {
    auto o = options();
    o.phi_fits = [](const std::vector<std::int64_t>& units, std::size_t values) {
      return units == std::vector<std::int64_t>{1, 1} && values == 2;
    };
    Fixture f(o);
    f.one(1, hello());
    auto message = with_stream(0, 0.5);
    auto& lane = *message.mutable_streams(0)->mutable_lanes(0);
    for (int i = 0; i < 2; ++i) lane.add_units(1);
    lane.add_phi(0.25);
    auto& pair = *lane.add_pairs();
    for (int i = 0; i < 3; ++i) pair.add_noise(0.0);
    for (int i = 0; i < 2; ++i) {
      pair.add_phi_plus(0.5);
      pair.add_phi_minus(0.5);
    }
    change(lane);
    f.one(1, bytes_of(message, {0.1f, 0.0f, 0.0f}));
    return f.coordinator.workers_lost() == 0;
  };
  CHECK(taken([](auto&) {}));
  CHECK_FALSE(taken([](auto& lane) { lane.add_phi(0.5); }));
  CHECK_FALSE(taken([](auto& lane) { lane.set_units(0, 7); }));
  CHECK_FALSE(taken([](auto& lane) { lane.mutable_pairs(0)->add_noise(0.0); }));
  CHECK_FALSE(taken([](auto& lane) { lane.mutable_pairs(0)->add_phi_plus(0.5); }));
  CHECK_FALSE(taken([](auto& lane) { lane.mutable_pairs(0)->clear_phi_minus(); }));
}

TEST_CASE("streams travel ahead of the message that is answered, one to a frame") {
  auto o = strict_options();
  o.streams = 3;
  Fixture f(o, {1});
  f.one(1, hello());
  for (const std::uint32_t stream : {0u, 1u}) {
    proto::WorkerMessage ahead;
    *ahead.add_streams() = with_stream(stream, 0.5 + stream).streams(0);
    CHECK(f.coordinator.handle(1, bytes_of(ahead), 1.0).empty());
  }
  f.one(1, bytes_of(with_stream(2, 2.5), {0.1f, 0.0f, 0.0f}));
  const auto streams = f.coordinator.snapshot().streams;
  REQUIRE(streams.size() == 3);
  for (const auto& state : streams) CHECK(state.lanes.at(0).phi == std::vector<double>{0.5 + state.stream});
  CHECK(f.recorder.warnings.empty());
}

TEST_CASE("what workers say of themselves is printed on one line, and cut") {
  Fixture f;
  proto::WorkerMessage strange;
  strange.mutable_hello()->set_protocol(store::kProtocol);
  strange.mutable_hello()->set_host("evil\n\x1b[2J" + std::string(100000, 'h'));
  f.one(1, bytes_of(strange));
  proto::WorkerMessage failure;
  failure.mutable_failure()->set_message("\x1b]0;title\a\n" + std::string(50'000'000, 'x'));
  f.coordinator.handle(1, bytes_of(failure), 1.0);
  REQUIRE(f.coordinator.losses().size() == 1);
  const auto& loss = f.coordinator.losses().front();
  for (const std::string& text : {loss.host, loss.reason, f.recorder.warnings.back()}) {
    CHECK(text.size() < 2000);
    CHECK(
        std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
  }
}

TEST_CASE("a flood of messages that cannot be used is a line a second, and its sender is lost in the end") {
  Fixture f;
  for (const int worker : {1, 2}) f.one(worker, hello());
  for (int i = 0; i < 999; ++i) CHECK(f.coordinator.handle(1, "rubbish", 2.0 + 0.0001 * i).empty());
  CHECK(f.recorder.warnings.size() == 1);
  CHECK(f.coordinator.workers_lost() == 0);
  f.coordinator.tick(3.5);
  REQUIRE(f.recorder.warnings.size() == 2);
  CHECK(f.recorder.warnings.back() == "998 more messages of that kind were ignored");
  SECTION("one that can be used ends the row") {
    f.one(1, gradient_bytes(0), 3.6);
    for (int i = 0; i < 999; ++i) f.coordinator.handle(1, "rubbish", 4.0);
    CHECK(f.coordinator.workers_lost() == 0);
  }
  SECTION("the thousandth is the last") {
    f.coordinator.handle(1, "rubbish", 3.6);
    CHECK(f.coordinator.workers_lost() == 1);
    CHECK(f.coordinator.losses().front().reason == "1000 messages in a row cannot be used");
    CHECK(read(f.one(1, gradient_bytes(0), 3.7)).command() == proto::CoordinatorMessage::refused);
  }
}

TEST_CASE("the sender of a message that is too large is lost and told so, and MPI is not finalised") {
  Fixture f;
  for (const int worker : {1, 2}) f.one(worker, hello());
  const auto answers = f.coordinator.handle_oversize(1, std::int64_t{3} << 30, 2.0);
  REQUIRE(answers.size() == 1);
  CHECK(read(answers[0]).command() == proto::CoordinatorMessage::refused);
  CHECK(f.coordinator.losses().front().reason ==
        "a message of 3221225472 bytes is larger than any of this run");
  CHECK_FALSE(f.coordinator.may_finalize());
  CHECK(f.coordinator.handle_oversize(9, 1 << 30, 2.0).empty());  // a stranger's
}

TEST_CASE("a newcomer with other data or another program is refused, or warned of once for each host") {
  auto o = options();
  o.revision = "0.1.0 (abc)";
  o.dataset_sha256 = {{"0.toy", "11"}};
  proto::WorkerMessage message;
  message.mutable_hello()->set_protocol(store::kProtocol);
  message.mutable_hello()->set_host("elsewhere");
  message.mutable_hello()->set_revision("0.1.0 (def)");
  (*message.mutable_hello()->mutable_datasets())["0.toy"] = "22";
  SECTION("asynchronous") {
    Fixture f(o);
    for (const int worker : {1, 2}) f.one(worker, hello());
    CHECK(f.recorder.warnings.empty());  // the ranks of the start have been compared in it
    for (const int worker : {3, 4}) f.one(worker, bytes_of(message));
    REQUIRE(f.recorder.warnings.size() == 2);
    CHECK(f.recorder.warnings[0].find("dataset toy differs between hosts: a worker on elsewhere joined") ==
          0);
    CHECK(f.recorder.warnings[1].find("the program differs between hosts: 0.1.0 (def) on elsewhere") == 0);
    CHECK(f.coordinator.workers_lost() == 0);
  }
  SECTION("deterministic") {
    o.deterministic = true;
    Fixture f(o);
    for (const int worker : {1, 2}) f.one(worker, hello());
    CHECK(read(f.one(3, bytes_of(message))).command() == proto::CoordinatorMessage::refused);
    CHECK(f.coordinator.losses().front().reason.find("dataset toy differs") == 0);
  }
}
