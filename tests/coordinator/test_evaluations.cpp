// Evaluations while a run goes on: pieces are dealt out and counted once, results belong to the θ of their
// update, the best by validation is known, and limits wait for the last evaluation while signals do not.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/store/stream_message.h"
#include "coordinator/coordinator.h"
#include "coordinator/run_directory.h"
#include "tests/catch.h"
#include "tests/coordinator/options.h"
#include "tests/coordinator/recorder.h"
#include "tests/temporary_folder.h"

using namespace outerloop;
using coordinator::Coordinator;
using coordinator::EvaluationPiece;
using coordinator::EvaluationRole;
using coordinator::Evaluations;
using coordinator::StopReason;
using tests::Recorder;

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

coordinator::EvaluationOptions evaluation_options() {
  return {2, 2, {{"seen", EvaluationRole::train}, {"unseen", EvaluationRole::validation}}};
}

store::Checkpoint start_state(std::int64_t update = 0) {
  store::Checkpoint start;
  start.rule.rule = "neuron_local";
  start.rule.layout = rule::Layout({{"toy", {1}, "one", rule::Initializer::constant(1.0), false, 0}});
  start.rule.theta = {1.0};
  start.rule.update = update;
  return start;
}

store::RuleFile rule_of(std::int64_t update) { return start_state(update).rule; }

/// Worker 1, and 2 where it is wanted, by hand.
struct Fixture {
  explicit Fixture(coordinator::CoordinatorOptions o, const store::Checkpoint& start = start_state())
      : coordinator(o, start, {1, 2}, recorder, 0.0) {}

  static coordinator::CoordinatorOptions options() {
    auto o = tests::coordinator_options();
    o.batch = 1;
    o.streams = 2;
    o.updates = 3;
    o.average_decay = 0.5;
    o.staleness_bound = 100;
    o.adam.learning_rate = 0.5;
    o.evaluation = evaluation_options();
    return o;
  }

  void send(int from, const proto::WorkerMessage& message, std::vector<float> floats = {}) {
    answer = proto::CoordinatorMessage();
    theta.clear();
    const auto answers =
        coordinator.handle(from, net::encode({message.SerializeAsString(), std::move(floats)}), now += 0.1);
    if (answers.empty()) return;
    REQUIRE(answer.ParseFromString(answers[0].frame.header));
    theta = answers[0].frame.floats;
  }

  void hello(int from) {
    proto::WorkerMessage message;
    message.mutable_hello()->set_protocol(store::kProtocol);
    send(from, message);
  }

  void gradient(int from) {
    proto::WorkerMessage message;
    message.mutable_gradient()->set_theta_version(coordinator.update());
    message.mutable_gradient()->set_norm(1.0);
    send(from, message, {1.0f});
  }

  /// The result of the piece that the last answer gave.
  proto::WorkerMessage result(double meta_objective) const {
    proto::WorkerMessage message;
    *message.mutable_evaluated()->mutable_piece() = answer.piece();
    message.mutable_evaluated()->set_meta_objective(meta_objective);
    message.mutable_evaluated()->set_accuracy(0.5);
    return message;
  }

  /// Worker `from` does all that is left.
  void evaluate_all(int from, double meta_objective) {
    while (answer.command() == proto::CoordinatorMessage::evaluate) send(from, result(meta_objective));
  }

  Recorder recorder;
  Coordinator coordinator;
  proto::CoordinatorMessage answer;  ///< the newest
  std::vector<float> theta;          ///< behind it
  double now = 0.0;
};

}  // namespace

TEST_CASE("each piece is dealt out once, and again only where nobody did it") {
  Evaluations evaluations(evaluation_options());
  evaluations.begin(rule_of(4), 1.5);
  const auto first = evaluations.deal(1), second = evaluations.deal(2);
  REQUIRE((first && second));
  CHECK_FALSE(*first == *second);
  CHECK_FALSE(evaluations.accept(1, *second, {true, 1.0, 0.5, 0.1}));  // another's
  CHECK_FALSE(evaluations.accept(3, *first, {true, 1.0, 0.5, 0.1}));   // a stranger's
  CHECK(evaluations.accept(1, *first, {true, 1.0, 0.5, 0.1}));
  CHECK_FALSE(evaluations.accept(1, *first, {true, 9.0, 0.5, 0.1}));  // twice
  evaluations.take_back(2);
  CHECK(*evaluations.deal(3) == *second);
  CHECK_FALSE(evaluations.accept(2, *second, {true, 1.0, 0.5, 0.1}));
  CHECK(evaluations.accept(3, *second, {true, 3.0, 0.75, 0.1}));
  CHECK_FALSE(evaluations.take_finished());
  for (const double objective : {0.5, kNone})
    CHECK(evaluations.accept(1, *evaluations.deal(1), {true, objective, 0.25, 0.1}));
  CHECK_FALSE(evaluations.deal(1));
  const auto record = evaluations.take_finished();
  REQUIRE(record);
  CHECK(evaluations.idle());
  CHECK(record->update == 4);
  CHECK(record->seconds == 1.5);
  CHECK(record->worker_seconds == Approx(0.4));
  CHECK(record->scores[0].meta_objective == 2.0);
  CHECK(record->scores[0].accuracy == 0.625);
  CHECK(record->scores[1].meta_objective == 0.5);
  CHECK(record->scores[1].failed == 1);
  CHECK(std::isnan(record->validation));  // a θ one of whose tasks failed is never the best
}

TEST_CASE("what is cancelled is neither dealt out nor counted") {
  Evaluations evaluations(evaluation_options());
  for (const int update : {2, 4}) evaluations.begin(rule_of(update), 0.0);
  std::vector<EvaluationPiece> pieces;
  for (int worker = 1; worker <= 5; ++worker) pieces.push_back(*evaluations.deal(worker));
  CHECK(pieces[3].update == 2);
  CHECK(pieces[4].update == 4);
  evaluations.go_back_to(2);
  CHECK_FALSE(evaluations.knows(4));
  CHECK_FALSE(evaluations.accept(5, pieces[4], {true, 1.0, 0.5, 0.1}));
  CHECK_FALSE(evaluations.deal(5));
  CHECK(evaluations.accept(1, pieces[0], {true, 1.0, 0.5, 0.1}));
  evaluations.take_back(2);
  evaluations.cancel_all();
  CHECK(evaluations.idle());
  CHECK_FALSE(evaluations.deal(6));
}

TEST_CASE("workers get pieces before work, with the θ of their update, and limits wait for the last one") {
  Fixture f(Fixture::options());
  f.hello(1);
  REQUIRE(f.answer.command() == proto::CoordinatorMessage::evaluate);
  CHECK(f.answer.piece().update() == 0);
  CHECK(f.theta == std::vector<float>{1.0f});
  f.send(1, f.result(0.75));
  CHECK(f.theta.empty());  // the worker has it
  f.evaluate_all(1, 0.75);
  REQUIRE(f.recorder.evaluations.size() == 1);
  CHECK_FALSE(f.recorder.evaluations[0].average);
  CHECK(f.answer.command() == proto::CoordinatorMessage::work);
  CHECK(f.theta.size() == 1);

  f.gradient(1);
  CHECK(f.answer.command() == proto::CoordinatorMessage::work);
  f.gradient(1);
  REQUIRE(f.answer.command() == proto::CoordinatorMessage::evaluate);
  const auto average = f.coordinator.snapshot().rule.theta_average;
  CHECK(f.theta == std::vector<float>(average.begin(), average.end()));
  const auto held = f.result(0.5);
  f.hello(2);  // another worker takes what is left, and θ goes on meanwhile
  f.evaluate_all(2, 0.5);
  f.gradient(2);
  CHECK(f.coordinator.update() == 3);
  CHECK(f.coordinator.stopping());
  CHECK(f.coordinator.stop_reason() == StopReason::none);
  REQUIRE(f.answer.command() == proto::CoordinatorMessage::evaluate);
  CHECK(f.answer.piece().update() == 3);
  f.evaluate_all(2, 0.625);
  CHECK(f.answer.command() == proto::CoordinatorMessage::pause);  // a piece of update 2 is still missing
  f.send(1, held);
  CHECK(f.answer.command() == proto::CoordinatorMessage::stop);
  REQUIRE(f.recorder.evaluations.size() == 3);
  CHECK(f.recorder.evaluations[2].update == 2);
  CHECK(f.recorder.evaluations[2].average);
  const auto recorded = f.recorder.evaluations[2].rule.theta_average;
  CHECK(std::vector<double>(average.begin(), average.end()) == recorded);
  CHECK(f.recorder.evaluations[2].best);
  CHECK(f.coordinator.best()->update == 2);
  CHECK(f.coordinator.best()->validation == 0.5);
  CHECK(f.coordinator.snapshot().counters.at("evaluated_update") == 3);
}

TEST_CASE("a signal does not wait for evaluations") {
  Fixture f(Fixture::options());
  f.hello(1);
  const auto late = f.result(1.0);
  f.coordinator.request_stop(StopReason::signal);
  CHECK(f.coordinator.stop_reason() == StopReason::signal);
  f.send(1, late);
  CHECK(f.answer.command() == proto::CoordinatorMessage::stop);
  CHECK(f.recorder.evaluations.empty());
}

TEST_CASE("a signal that comes while the last evaluation is waited for ends the wait") {
  auto o = Fixture::options();
  o.updates = 1;
  o.evaluation.every_updates = 5;
  Fixture f(o);
  f.hello(1);
  f.evaluate_all(1, 1.0);
  f.gradient(1);
  REQUIRE(f.answer.command() == proto::CoordinatorMessage::evaluate);
  CHECK(f.answer.piece().update() == 1);
  f.coordinator.request_stop(StopReason::signal);
  CHECK(f.coordinator.stop_reason() == StopReason::updates);
}

TEST_CASE("the piece of a lost worker is dealt out again") {
  Fixture f(Fixture::options());
  f.hello(1);
  const auto piece = f.answer.piece();
  proto::WorkerMessage failure;
  failure.mutable_failure()->set_message("gone");
  f.send(1, failure);
  f.hello(2);
  CHECK(f.answer.piece().dataset() == piece.dataset());
  CHECK(f.answer.piece().task() == piece.task());
}

TEST_CASE("who says farewell while the run continues gets no pieces any more") {
  Fixture f(Fixture::options());
  f.hello(1);
  proto::WorkerMessage farewell;
  farewell.set_farewell(true);
  f.send(1, farewell);
  for (int i = 0; i < 2; ++i) {
    f.hello(1);
    CHECK(f.answer.command() == proto::CoordinatorMessage::work);
  }
  f.hello(2);
  f.evaluate_all(2, 1.0);
  CHECK(f.recorder.evaluations.size() == 1);
}

TEST_CASE("deterministic: a worker lost in the last evaluation takes nothing back") {
  auto o = Fixture::options();
  o.deterministic = true;
  o.batch = 2;
  o.updates = 1;
  Fixture f(o);
  f.hello(1);
  f.evaluate_all(1, 1.0);
  const auto deterministic_gradient = [&](int from, std::uint32_t stream) {
    proto::WorkerMessage message;
    message.mutable_gradient()->set_stream(stream);
    message.mutable_gradient()->set_norm(1.0);
    f.send(from, message, {1.0f});
  };
  deterministic_gradient(1, 0);
  deterministic_gradient(2, 1);
  REQUIRE(f.coordinator.update() == 1);
  for (const int worker : {1, 2}) {
    proto::WorkerMessage streams;
    streams.set_waiting(true);
    streams.set_has_streams(true);
    streams.add_streams()->set_stream(static_cast<std::uint32_t>(worker - 1));
    f.send(worker, streams);
  }
  REQUIRE(f.answer.command() == proto::CoordinatorMessage::evaluate);
  const auto result = f.result(0.5);
  proto::WorkerMessage failure;
  failure.mutable_failure()->set_message("gone");
  f.send(1, failure);
  CHECK(f.coordinator.update() == 1);
  CHECK(f.coordinator.segment() == 0);
  f.send(2, result);
  f.evaluate_all(2, 0.5);
  CHECK(f.answer.command() == proto::CoordinatorMessage::stop);
  CHECK(f.coordinator.stop_reason() == StopReason::updates);
}

TEST_CASE("a resume repeats the evaluation of its own update only where it was not complete") {
  auto start = start_state(2);
  CHECK(Fixture(Fixture::options(), start).coordinator.evaluations().under_way() == 1);
  start.counters["evaluated_update"] = 2;
  CHECK(Fixture(Fixture::options(), start).coordinator.evaluations().idle());
  auto o = Fixture::options();
  o.best = coordinator::BestRule{1, 0.25};
  Fixture f(o);
  f.hello(1);
  f.evaluate_all(1, 0.5);
  CHECK_FALSE(f.recorder.evaluations.at(0).best);
  CHECK(f.coordinator.best()->update == 1);
}

TEST_CASE("the run directory keeps the best rule, its score, and a line of every evaluation") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  coordinator::RunDirectory::create(path, "updates: 3\n");
  std::vector<std::string> passed_over;
  CHECK_FALSE(coordinator::RunDirectory::read_best(path, passed_over));
  coordinator::RunDirectory run(path, 2, 1, 0);
  coordinator::EvaluationRecord record;
  record.update = 7;
  record.rule = rule_of(7);
  record.validation = 0.5;
  record.best = true;
  record.scores = {{{"unseen", EvaluationRole::validation}, 0.5, kNone, 2, 0},
                   {{"words", EvaluationRole::test, data::Domain::texts}, 0.25, 0.5, 2, 0},
                   {{"others", EvaluationRole::test, data::Domain::texts}, 0.75, 0.9, 4, 0}};
  run.on_evaluation(record);
  record.best = false;
  record.rule = rule_of(8);
  run.on_evaluation(record);
  const auto best = coordinator::RunDirectory::read_best(path, passed_over);
  REQUIRE(best);
  CHECK(best->update == 7);
  CHECK(best->validation == 0.5);
  std::ifstream metrics(path + "/metrics.jsonl");
  std::string line;
  REQUIRE(std::getline(metrics, line));
  const auto json = nlohmann::json::parse(line);
  CHECK(json.at("event") == "evaluation");
  CHECK(json.at("theta") == "last");
  CHECK(json.at("best") == true);
  CHECK(json.at("datasets").at(0).at("role") == "validation");
  CHECK(json.at("datasets").at(0).at("accuracy").is_null());
  CHECK(json.at("datasets").at(1).at("domain") == "texts");
  REQUIRE(json.at("domains").size() == 2);
  CHECK(json.at("domains").at(0).at("domain") == "images");
  CHECK(json.at("domains").at(0).at("role") == "validation");
  CHECK(json.at("domains").at(0).at("accuracy").is_null());
  CHECK(json.at("domains").at(1).at("role") == "test");
  CHECK(json.at("domains").at(1).at("meta_objective") == 0.5);
  CHECK(json.at("domains").at(1).at("accuracy").get<double>() == Approx(0.7));

  // A disk that refuses gets it again with the next checkpoint.
  std::filesystem::remove(path + "/rule-best.h5");
  std::filesystem::create_directory(path + "/rule-best.h5");
  record.best = true;
  CHECK_NOTHROW(run.on_evaluation(record));
  std::filesystem::remove(path + "/rule-best.h5");
  auto checkpoint = start_state(9);
  checkpoint.history["update"] = {};
  run.on_checkpoint(checkpoint);
  CHECK(coordinator::RunDirectory::read_best(path, passed_over)->update == 8);
  CHECK(passed_over.empty());
  std::ofstream(path + "/rule-best.h5") << "rubbish";
  CHECK_FALSE(coordinator::RunDirectory::read_best(path, passed_over));
  REQUIRE(passed_over.size() == 1);
  CHECK(passed_over[0].find("rule-best.h5") != std::string::npos);
}
