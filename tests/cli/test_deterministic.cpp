// mode: deterministic from end to end: the same bits of θ from any number of workers, after any cut and any
// loss.
#include "common/rule/fused/engine.h"
#include "common/store/files.h"
#include "tests/catch.h"
#include "tests/cli/run_command.h"
#include "tests/worker/toy_engine.h"

using namespace outerloop;
using namespace outerloop::tests;
using nlohmann::json;

namespace {

/// The smallest run; six streams do not divide evenly among 4 or 5 workers.
const std::string kDeterministic =
    "train smoke --set mode=deterministic --set engine.kind=reference --set batch=6 --set "
    "checkpoint.every_updates=5";

/// Large enough that a truncation's activations do not fit the smallest budget.
const std::string kFused =
    "train smoke --set mode=deterministic --set engine.kind=fused --set batch=4 --set "
    "checkpoint.every_updates=2 --set rule.hidden_channels=16 --set rule.top_channels=16 --set "
    "rule.delta_channels=8 --set tasks.minibatch=32 --set tasks.min_width=48 --set tasks.max_width=48 --set "
    "unroll.min_steps=6 --set unroll.max_steps=8 --set tasks.min_inner_steps=12 --set "
    "tasks.max_inner_steps=24";

/// Bytes that a truncation of kFused's sizes keeps within a budget.
std::int64_t kept_bytes(std::int64_t memory_budget_mib) {
  rule::RuleOptions options;
  options.neuron_local.hidden_blocks = 0;
  options.neuron_local.top_layers = 1;
  options.neuron_local.readout_channels = 2;
  options.neuron_local.output_units = 8;
  rule::EngineOptions engine;
  engine.memory_budget_mib = memory_budget_mib;
  const auto fused = rule::fused::make_fused_engine(options, engine);
  data::TaskOptions tasks;
  tasks.way = {3, 3};
  tasks.labelled_per_class = 2;
  tasks.minibatch = 32;
  tasks.hidden_layers = {1, 1};
  tasks.width = {48, 48};
  tasks.output_units = 8;
  const data::TaskDistribution distribution(tasks, {{toy_dataset(), 1.0}}, 1);
  const auto task = distribution.sample(0, 0);
  std::vector<rule::StepData> steps;
  for (int step = 0; step < 6; ++step) steps.push_back(distribution.step_data(task, step));
  const auto phi = rule::initial_phi(rule::phi_layout(options, task.architecture), 1, 0, 0);
  fused->truncation(task.architecture, rule::initial_theta(fused->theta_layout(), 1), phi, steps);
  return fused->arena_bytes();
}

json finished_run(const std::string& folder, int ranks, const std::string& arguments) {
  const auto finished = run_on_ranks(ranks, arguments + " --run-dir " + folder);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return read_json(folder + "/result.json");
}

std::string bits(const json& result) { return result.at("theta_sha256").get<std::string>(); }

/// Updates in metrics.jsonl must be 1, 2, ... without a gap or a repetition.
void check_metrics(const std::string& run, std::int64_t updates) {
  std::istringstream text(read_text(run + "/metrics.jsonl"));
  std::int64_t expected = 1;
  for (std::string line; std::getline(text, line);) {
    const json entry = json::parse(line);
    if (!entry.contains("event")) CHECK(entry.at("update") == expected++);
  }
  CHECK(expected == updates + 1);
}

/// The evaluations of a run by update, without what may differ: times, segments.
std::map<std::int64_t, json> evaluations_of(const std::string& run) {
  std::map<std::int64_t, json> evaluations;
  std::istringstream text(read_text(run + "/metrics.jsonl"));
  for (std::string line; std::getline(text, line);) {
    json entry = json::parse(line);
    if (entry.value("event", "") != "evaluation") continue;
    for (const char* key : {"seconds", "segment", "worker_seconds", "best"}) entry.erase(key);
    evaluations[entry.at("update").get<std::int64_t>()] = entry;
  }
  return evaluations;
}

/// The best θ is that of the lowest mean over the validation datasets, and is in rule-best.h5.
void check_evaluations(const std::map<std::int64_t, json>& evaluations, const json& result,
                       const std::string& run) {
  std::int64_t best = -1;
  double lowest = 1e30;
  for (const auto& [update, evaluation] : evaluations) {
    const auto& datasets = evaluation.at("datasets");
    REQUIRE(datasets.size() == 3);
    CHECK(datasets.at(0).at("role") == "train");
    CHECK(datasets.at(1).at("role") == "validation");
    CHECK(datasets.at(2).at("role") == "test");
    CHECK(evaluation.at("theta") == (update == 0 ? "last" : "average"));
    const double validation = datasets.at(1).at("meta_objective").get<double>();
    CHECK(evaluation.at("validation_meta_objective") == validation);
    if (validation >= lowest) continue;
    lowest = validation;
    best = update;
  }
  CHECK(result.at("best_update") == best);
  CHECK(result.at("best_validation_meta_objective") == lowest);
  const auto rule = outerloop::store::read_rule(run + "/rule-best.h5");
  CHECK(rule.update == best);
  CHECK(rule.validation_meta_objective == lowest);
}

/// Starts a run in the background, waits for its line of `update`, and sends `signal` to the processes whose
/// ids `choose` prints.
Finished disturb(const std::string& train, const std::string& run, int ranks, const std::string& more,
                 int update, const std::string& choose, const std::string& signal) {
  return run_shell(std::string("\"") + OUTERLOOP_MPIRUN + "\" -n " + std::to_string(ranks) + " " +
                   executable() + " " + train + " --set deadline_seconds=2 " + more + " --run-dir " + run +
                   " & for i in $(seq 600); do sleep 0.05; grep -q update.:" + std::to_string(update) + ", " +
                   run + "/metrics.jsonl 2>/dev/null && break; done; kill -" + signal + " $(" + choose +
                   "); wait $!");
}

/// Prints the process id of a rank of the run in `run`, by its environment.
std::string process_of_rank(const std::string& run, int rank) {
  return "for p in $(pgrep -f \"^[^ ]*outerloop train.*--run-dir " + run +
         "\"); do tr \"\\\\0\" \"\\\\n\" < /proc/$p/environ | grep -q \"^OMPI_COMM_WORLD_RANK=" +
         std::to_string(rank) + "$\" && echo $p; done";
}

}  // namespace

TEST_CASE("θ has the same bits from 1, 2, 3 and 5 workers, and from any memory budget") {
  const TemporaryFolder folder;
  const json alone = finished_run(folder / "alone", 1, kDeterministic);
  CHECK(alone.at("updates") == 20);
  check_metrics(folder / "alone", 20);
  for (const int workers : {2, 3, 5}) {
    const std::string run = folder / std::to_string(workers);
    const json result = finished_run(run, workers + 1, kDeterministic);
    CHECK(bits(result) == bits(alone));
    CHECK(result.at("gradients") == alone.at("gradients"));
    CHECK(result.at("refused") == alone.at("refused"));
    CHECK(result.at("workers").size() == static_cast<std::size_t>(workers));
    check_metrics(run, 20);
  }
  const json small = finished_run(folder / "small", 3, kDeterministic + " --set engine.memory_budget_mib=1");
  CHECK(bits(small) == bits(alone));
  const json other = finished_run(folder / "other", 3, kDeterministic + " --set seed=1");
  CHECK(bits(other) != bits(alone));
}

TEST_CASE("a run that was cut, and goes on with other workers, ends at the bits of the unbroken one") {
  const TemporaryFolder folder;
  const json whole = finished_run(folder / "whole", 1, kDeterministic);
  const std::string run = folder / "cut";
  finished_run(run, 4, kDeterministic + " --set updates=7");
  const json resumed = finished_run(run, 3, "train --resume --set updates=20");
  CHECK(bits(resumed) == bits(whole));
  CHECK(resumed.at("gradients") == whole.at("gradients"));
  check_metrics(run, 20);
}

TEST_CASE("the fused engine gives the same bits from 1, 2, 3 and 5 workers, and from any memory budget") {
  const std::int64_t least = kept_bytes(1), some = kept_bytes(12), all = kept_bytes(1024);
  INFO("bytes kept: " << least << ", " << some << ", " << all);
  CHECK((least < some && some < all));  // so the first two recompute
  const TemporaryFolder folder;
  const json alone = finished_run(folder / "alone", 1, kFused + " --set updates=6");
  for (const int workers : {2, 3, 5}) {
    const std::string run = folder / std::to_string(workers);
    CHECK(bits(finished_run(run, workers + 1, kFused + " --set updates=6")) == bits(alone));
    check_metrics(run, 6);
  }
  for (const std::string budget : {"1", "12"}) {
    const std::string run = folder / ("budget" + budget);
    const std::string small = kFused + " --set updates=6 --set engine.memory_budget_mib=" + budget;
    CHECK(bits(finished_run(run, 3, small)) == bits(alone));
  }
  // Half with one budget, resumed by another number of workers.
  finished_run(folder / "half", 2, kFused + " --set updates=3 --set engine.memory_budget_mib=1");
  CHECK(bits(finished_run(folder / "half", 4, "train --resume --set updates=6")) == bits(alone));
}

TEST_CASE("evaluations change no bit of θ, and are the same from any number of workers and after a kill") {
  const TemporaryFolder folder;
  const std::string train = "train " + std::string(OUTERLOOP_TEST_DATA) +
                            "/evaluations.textproto --set mode=deterministic --set updates=60";
  const json never = finished_run(folder / "never", 1, train + " --set evaluation.every_updates=0");
  CHECK_FALSE(never.contains("best_update"));
  CHECK(evaluations_of(folder / "never").empty());
  CHECK_FALSE(std::filesystem::exists(folder / "never/rule-best.h5"));
  const json alone = finished_run(folder / "alone", 1, train);
  const auto expected = evaluations_of(folder / "alone");
  REQUIRE(expected.size() == 9);  // at 0, 8, ..., 56 and the end
  check_evaluations(expected, alone, folder / "alone");
  for (const int workers : {2, 5}) {
    const std::string run = folder / std::to_string(workers);
    const json result = finished_run(run, workers + 1, train);
    CHECK(bits(result) == bits(never));
    CHECK(evaluations_of(run) == expected);
    CHECK(result.at("best_update") == alone.at("best_update"));
    check_metrics(run, 60);
  }
  // Killed, and gone on with: what was not complete is evaluated again, with the same result.
  const std::string run = folder / "killed";
  disturb(train, run, 3, "", 11, process_of_rank(run, 0), "KILL");
  const json resumed = finished_run(run, 2, "train --resume");
  CHECK(bits(resumed) == bits(never));
  for (const auto& [update, evaluation] : evaluations_of(run)) CHECK(evaluation == expected.at(update));
  CHECK(evaluations_of(run).size() == 9);
  CHECK(resumed.at("best_update") == alone.at("best_update"));
}

TEST_CASE("a signal in the middle of an update, or the death of everyone, changes no bit") {
  const TemporaryFolder folder;
  const json whole = finished_run(folder / "whole", 3, kDeterministic + " --set updates=60");
  for (const std::string signal : {"TERM", "KILL"}) {
    const std::string run = folder / signal;
    // Rank 0 alone is told to stop, and tells the others; or it dies, and the others notice.
    disturb(kDeterministic, run, 3, "--set updates=60", 8, process_of_rank(run, 0), signal);
    if (signal == "TERM") CHECK(read_json(run + "/result.json").at("stop_reason") == "signal");
    const json resumed = finished_run(run, 2, "train --resume");
    CHECK(bits(resumed) == bits(whole));
    check_metrics(run, 60);
  }
}

TEST_CASE("a lost worker leads back to the last checkpoint, and the others end at the same bits") {
  const TemporaryFolder folder;
  const json whole = finished_run(folder / "whole", 1, kDeterministic + " --set updates=60");
  const std::string run = folder / "lost";
  const auto finished =
      disturb(kDeterministic, run, 4, "--set updates=60", 8, process_of_rank(run, 2), "KILL");
  INFO(finished.err);
  const json result = read_json(run + "/result.json");
  CHECK(result.at("workers_lost") == 1);
  CHECK(result.at("updates") == 60);
  CHECK(bits(result) == bits(whole));
  CHECK(result.at("gradients") == whole.at("gradients"));
  CHECK(finished.err.find("back to the checkpoint of update") != std::string::npos);
  check_metrics(run, 60);
}

TEST_CASE("ranks of different instruction sets are refused, and so is a change of device over a resume") {
  const TemporaryFolder folder;
  const std::string train = executable() + " " + kDeterministic + " --run-dir " + (folder / "run");
  const auto mixed = run_shell("OMPI_MCA_orte_enable_recovery=0 \"" + std::string(OUTERLOOP_MPIRUN) +
                               "\" -n 2 " + train + " : -n 1 env ATEN_CPU_CAPABILITY=default " + train);
  INFO(mixed.err);
  CHECK(mixed.exit_code == 2);
  CHECK(occurrences(mixed.err, "outerloop: mode = deterministic needs one engine and instruction set") == 1);
  std::filesystem::remove_all(folder / "run");
  finished_run(folder / "run", 1, kDeterministic + " --set updates=2");
  const auto moved = run_alone("train --resume --set device=cuda --run-dir " + (folder / "run"));
  CHECK(moved.exit_code == 2);
  CHECK(occurrences(moved.err, "the device may not change") == 1);
}
