// Whatever bytes ranks may send each other. The input's first byte chooses the mode; then comes a sequence of
// messages, each with one byte that says how it is delivered and two that give its length.
#include <google/protobuf/stubs/logging.h>

#include <cmath>
#include <optional>

#include "common/base/error.h"
#include "coordinator/coordinator.h"
#include "tests/coordinator/options.h"
#include "tests/fuzz/input.h"
#include "tests/toy_engine.h"
#include "tests/virtual_clock.h"
#include "worker/worker.h"

namespace {

using namespace outerloop;

constexpr std::int64_t kParameters = 3;
constexpr int kMostEvaluations = 2;
constexpr int kWorkers = 2;  // ranks 1 and 2; 0 and 3 are strangers

struct Deaf : coordinator::Observer {
  void on_update(const coordinator::UpdateRecord&) override {}
  void on_checkpoint(const store::Checkpoint&) override {}
  void on_rollback(std::int64_t) override {}
  void on_evaluation(const coordinator::EvaluationRecord& record) override {
    tests::require(record.scores.size() == 1 && record.scores[0].tasks == 2, "every piece counts once");
    tests::require(!record.best || std::isfinite(record.validation), "what is best has a finite score");
  }
  void on_warning(const std::string&) override {}
};

/// A job whose ranks get the fuzzer's messages instead of each other's.
class Job {
 public:
  Job(tests::ToyEngine& engine, const data::TaskDistribution& tasks, const evaluation::Evaluator& evaluator,
      bool deterministic, std::int64_t group)
      : group_(group),
        coordinator_(options(deterministic, group), start(engine), {1, kWorkers}, observer_, 0.0),
        worker_({engine, tasks, 1, 1, 3, {}, {}, false, group}, worker_options(deterministic), &evaluator) {}

  void deliver(std::uint8_t how, const std::string& message) {
    now_ += 0.5;
    // Half of the messages are framed here: a frame that adds up is rare by chance.
    const std::string bytes = (how & 8) != 0 ? framed(how, message) : message;
    try {
      if ((how & 4) == 0) {
        coordinator_.handle(how & 3, bytes, now_);
        coordinator_.tick(now_);
      } else if (!left_ && !surplus_evaluation(bytes)) {
        left_ = !worker_.handle(bytes, clock_).has_value();
      }
    } catch (const Error&) {
      left_ = left_ || (how & 4) != 0;  // a worker ends with its first refusal; the coordinator goes on
    }
    tests::require(coordinator_.gradients() <= group_ * ++delivered_, "a message is a gradient at most");
  }

  void end() const {
    const auto checkpoint = coordinator_.snapshot();
    tests::require(checkpoint.rule.theta.size() == kParameters, "θ keeps its layout");
    for (const double value : checkpoint.rule.theta)
      tests::require(std::isfinite(value), "no message makes θ anything but finite");
  }

 private:
  /// An evaluation takes as long as all else together, and a third one shows nothing more.
  bool surplus_evaluation(const std::string& bytes) {
    proto::CoordinatorMessage message;
    try {
      if (!message.ParseFromString(net::decode(bytes).header)) return false;
    } catch (const Error&) {
      return false;
    }
    return message.command() == proto::CoordinatorMessage::evaluate && ++evaluations_ > kMostEvaluations;
  }

  static std::string framed(std::uint8_t how, const std::string& message) {
    return net::encode({message, std::vector<float>((how & 16) != 0 ? kParameters : 0, 0.25f)});
  }

  static worker::WorkerOptions worker_options(bool deterministic) {
    worker::WorkerOptions options;
    options.gradient_norm_clip = 0.05;
    options.deterministic = deterministic;
    options.host = "here";
    options.deadline = 10.0;
    return options;
  }

  static coordinator::CoordinatorOptions options(bool deterministic, std::int64_t group) {
    auto options = tests::coordinator_options();
    options.deterministic = deterministic;
    options.batch = deterministic ? 3 : 2;
    options.streams = 3;
    options.group = group;
    options.checkpoint_every = 2;
    options.deadline = 20.0;
    options.average_decay = 0.5;
    options.evaluation = {2, 2, {{"toy", coordinator::EvaluationRole::validation}}};
    return options;
  }

  static store::Checkpoint start(const tests::ToyEngine& engine) {
    store::Checkpoint start;
    start.rule.rule = "neuron_local";
    start.rule.layout = engine.theta_layout();
    start.rule.theta = {1.0, 1.0, 1.0};
    return start;
  }

  std::int64_t group_;
  Deaf observer_;
  coordinator::Coordinator coordinator_;
  worker::Worker worker_;
  tests::VirtualClock clock_;
  double now_ = 0.0;
  std::int64_t delivered_ = 0;
  int evaluations_ = 0;
  bool left_ = false;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  static tests::ToyEngine engine(kParameters);
  static const auto tasks = tests::toy_tasks(1);
  static const evaluation::Evaluator evaluator(engine, tasks.options(), {tests::toy_dataset()}, {1, 1, 5, 1});
  // Protobuf would log every text that is not UTF-8.
  static const auto log = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(log);
  tests::FuzzInput input(bytes, count);
  const auto kind = input.number<std::uint8_t>();
  Job job(engine, tasks, evaluator, (kind & 1) != 0, (kind & 2) != 0 ? 3 : 1);
  while (!input.empty()) {
    const auto how = input.number<std::uint8_t>();
    const auto length = input.number<std::uint16_t>();
    job.deliver(how, input.text(length));
  }
  job.end();
  return 0;
}
