// Minibatches that are prepared in advance: the same as those prepared on time, whatever happens in between.
#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <map>
#include <thread>

#include "common/base/error.h"
#include "tests/catch.h"
#include "tests/evaluation/small_engine.h"
#include "tests/toy_engine.h"
#include "tests/virtual_clock.h"
#include "worker/prefetch.h"
#include "worker/pulse.h"
#include "worker/worker.h"

using namespace outerloop;
using worker::Minibatches;
using worker::MinibatchRequest;
using worker::Prefetch;

namespace {

constexpr std::int64_t kThreads = 2;
constexpr double kUnlimited = std::numeric_limits<double>::infinity();

/// Two lanes of a round of stream 3.
MinibatchRequest request_of(const data::TaskDistribution& tasks, std::uint32_t index = 4) {
  const auto round = tasks.round(6, index);
  return {3, index, {tasks.sample(round, 6, index), tasks.sample(round, 7, index)}, {2, 0}, 3};
}

std::vector<double> numbers_of(const Minibatches& data) {
  std::vector<double> numbers;
  for (const auto& lane : data)
    for (const auto& step : lane)
      for (const auto* batch : {&step.inner, &step.a, &step.b})
        for (const auto* part : {&batch->x, &batch->y})
          numbers.insert(numbers.end(), part->begin(), part->end());
  return numbers;
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Setting {
  rule::EngineKind kind;
  std::int64_t group;
  std::uint32_t streams;
  bool deterministic;
};

/// A worker in a conversation with a coordinator that gives it every kind of answer.
class Conversation {
 public:
  static constexpr int kAnswers = 48;

  Conversation(const Setting& setting, double reject_norm, bool prefetch)
      : setting_(setting),
        engine_(tests::small_engine("neuron_local", tests::cpu_engine(setting.kind))),
        evaluator_(*engine_, tests::task_options(), {tests::toy_dataset()}, tests::evaluator_options()),
        theta_(rule::initial_theta(engine_->theta_layout(), 1)),
        worker_({*engine_, tasks_, 1, 1, 3, {6, 3, 12}, {}, false, setting.group, reject_norm, kThreads},
                options(setting, prefetch), &evaluator_) {
    for (int i = 0; i < kAnswers; ++i) answer(i);
  }

  const std::vector<std::string>& frames() const { return frames_; }
  std::int64_t gradients() const { return gradients_; }
  std::int64_t prefetched() const { return worker_.prefetched(); }
  /// Exceeded by a fifth of the lanes' gradients.
  double large_norm() {
    std::sort(norms_.begin(), norms_.end());
    return norms_.at(norms_.size() * 4 / 5);
  }

 private:
  static worker::WorkerOptions options(const Setting& setting, bool prefetch) {
    worker::WorkerOptions options{0.0, "here", 1, 10.0, setting.deterministic};
    options.prefetch = prefetch;
    return options;
  }

  void answer(int i) {
    constexpr int kRollback = 35;
    proto::CoordinatorMessage message;
    message.set_segment(i >= kRollback ? 1 : 0);
    message.set_theta_version(i / 3);
    std::vector<float> theta;
    if (i % 3 == 0 || i == kRollback || i == 10)
      for (const double value : theta_) theta.push_back(static_cast<float>(value * (1.0 + 0.01 * i)));
    if (i == 0)
      for (std::uint32_t s = 0; s < setting_.streams; ++s) message.add_assign()->set_stream(s);
    if (i == 10) {
      message.set_command(proto::CoordinatorMessage::evaluate);
      message.mutable_piece()->set_update(3);
    }
    if (setting_.deterministic && i % 7 == 3) message.add_restart(0);
    if (i == 20) message.set_send_streams(true);
    if (i == 25 && !setting_.deterministic) message.add_give_up(setting_.streams - 1);
    if (i == 29 && !setting_.deterministic) *message.add_assign() = given_up_;
    if (i == kRollback)
      for (const auto& state : kept_) *message.add_assign() = state;
    if (i == 15) engine_->set_after_step([] { throw worker::Interrupted(); });
    const auto frame = worker_.handle(net::encode({message.SerializeAsString(), theta}), clock_);
    engine_->set_after_step({});
    for (const auto& ahead : worker_.take_ahead()) record(ahead);
    REQUIRE(frame.has_value());
    record(*frame);
  }

  void record(const net::Frame& frame) {
    frames_.push_back(net::encode(frame));
    proto::WorkerMessage message;
    REQUIRE(message.ParseFromString(frame.header));
    kept_.insert(kept_.end(), message.streams().begin(), message.streams().end());
    for (const auto& state : message.given_up()) given_up_ = state;
    gradients_ += message.has_gradient() ? 1 : 0;
    for (const auto& lane : message.gradient().lanes())
      if (lane.outcome() == proto::Gradient::finished) norms_.push_back(lane.norm());
  }

  Setting setting_;
  std::unique_ptr<rule::Engine> engine_;
  data::TaskDistribution tasks_ = tests::toy_tasks(1);
  evaluation::Evaluator evaluator_;
  std::vector<double> theta_;
  worker::Worker worker_;
  tests::VirtualClock clock_;
  std::vector<std::string> frames_;
  std::vector<proto::StreamState> kept_;
  proto::StreamState given_up_;
  std::int64_t gradients_ = 0;
  std::vector<double> norms_;
};

void compare(const Setting& setting) {
  INFO("lanes " << setting.group << ", streams " << setting.streams << ", deterministic "
                << setting.deterministic);
  double reject_norm = kUnlimited;
  if (setting.group > 1) reject_norm = Conversation(setting, reject_norm, false).large_norm();
  const Conversation plain(setting, reject_norm, false), ahead(setting, reject_norm, true);
  CHECK(plain.prefetched() == 0);
  // A single stream foresees no new task, and these are short.
  CHECK(ahead.prefetched() > (setting.streams > 1 ? ahead.gradients() / 2 : 0));
  CHECK(ahead.gradients() > Conversation::kAnswers / 4);
  REQUIRE(plain.frames().size() == ahead.frames().size());
  for (std::size_t i = 0; i < plain.frames().size(); ++i) {
    INFO("frame " << i);
    CHECK((plain.frames()[i] == ahead.frames()[i]));
  }
}

}  // namespace

TEST_CASE("a worker that prefetches sends the same bits") {
  for (const std::int64_t group : {1, 3})
    for (const std::uint32_t streams : {1u, 3u})
      for (const bool deterministic : {false, true})
        compare({rule::EngineKind::fused, group, streams, deterministic});
}

// A minute under the sanitizers, which find the same with the fused engine.
#if defined(OUTERLOOP_TEST_REFERENCE) && !defined(OUTERLOOP_SANITIZED)
TEST_CASE("a worker that prefetches sends the same bits with the reference engine") {
  compare({rule::EngineKind::reference, 3, 1, false});
  compare({rule::EngineKind::reference, 3, 3, true});
}
#endif

TEST_CASE("minibatches prepared in advance are taken where all that decides them matches") {
  const auto tasks = tests::toy_tasks(1);
  const auto request = request_of(tasks);
  Prefetch prefetch(tasks, kThreads);
  CHECK(numbers_of(prefetch.take(request)) == numbers_of(prepare_minibatches(tasks, request, 1)));
  CHECK(prefetch.used() == 0);
  prefetch.begin(request);
  Prefetch moved(std::move(prefetch));
  CHECK(numbers_of(moved.take(request)) == numbers_of(prepare_minibatches(tasks, request, 1)));
  CHECK(moved.used() == 1);
  CHECK(numbers_of(moved.take(request)) == numbers_of(prepare_minibatches(tasks, request, 1)));
  CHECK(moved.used() == 1);  // they are handed out once

  std::map<std::string, MinibatchRequest> others;
  others["a restarted lane"] = request;
  others["a restarted lane"].tasks[1] = tasks.sample(tasks.round(6, 4), 7, 5);
  others["another step"] = request;
  others["another step"].steps[0] = 3;
  others["another length"] = request;
  others["another length"].length = 2;
  others["the next round"] = request_of(tasks, 5);
  // Lanes may have the same tasks by number in two rounds; they are not the same tasks.
  others["tasks of another round"] = request;
  others["tasks of another round"].round = 3;
  others["another stream"] = request;
  others["another stream"].stream = 4;
  for (const auto& [what, other] : others) {
    INFO(what);
    moved.begin(request);
    CHECK(numbers_of(moved.take(other)) == numbers_of(prepare_minibatches(tasks, other, 1)));
    moved.begin(other);
    moved.begin(request);  // replaces the other
    CHECK(numbers_of(moved.take(other)) == numbers_of(prepare_minibatches(tasks, other, 1)));
    CHECK(moved.used() == 1);
  }
}

TEST_CASE("what preparing in advance throws reaches the caller that takes the minibatches, and no other") {
  const auto tasks = tests::toy_tasks(1);
  const auto good = request_of(tasks);
  auto bad = good;
  bad.steps[1] = std::int64_t{1} << 32;  // no random numbers left
  Prefetch prefetch(tasks, kThreads);
  prefetch.begin(bad);
  CHECK_THROWS_AS(prefetch.take(bad), Error);
  prefetch.begin(bad);
  CHECK(prefetch.take(good).size() == 2);
  CHECK(prefetch.used() == 0);
  prefetch.begin(bad);
}

TEST_CASE("minibatches are prepared in the background, and given up at once") {
  const auto tasks = tests::toy_tasks(1);
  const auto small = request_of(tasks);
  auto large = small;
  large.length = 40000;
  const double all = seconds_of([&] { prepare_minibatches(tasks, large, 1); });
  Prefetch prefetch(tasks, 1);
  CHECK(seconds_of([&] { prefetch.begin(large); }) < 0.5 * all);
  std::this_thread::sleep_for(std::chrono::duration<double>(3.0 * all));
  CHECK(seconds_of([&] { prefetch.take(large); }) < 0.5 * all);
  CHECK(prefetch.used() == 1);
  prefetch.begin(large);
  CHECK(seconds_of([&] { prefetch.take(small); }) < 0.5 * all);
  CHECK(seconds_of([&] {
          Prefetch other(tasks, 1);
          other.begin(large);
        }) < 0.5 * all);
}
