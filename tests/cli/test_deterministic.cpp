// mode: deterministic from end to end: the same bits of θ from any number of workers, after any cut and any
// loss.
#include "common/rule/fused/engine.h"
#include "common/store/files.h"
#include "tests/catch.h"
#include "tests/cli/process.h"
#include "tests/rule_options.h"
#include "tests/toy_engine.h"

using namespace outerloop;
using namespace outerloop::tests;
using nlohmann::json;

namespace {

/// The smallest run; six streams do not divide evenly among 4 or 5 workers.
const std::string kDeterministic =
    "train smoke --set mode=deterministic --set batch=6 --set checkpoint.every_updates=5";
/// Updates of a run in the middle of which something happens: it has to last for a second at least.
constexpr std::int64_t kLongRun = 200;

const std::string kReference = kDeterministic + " --set engine.kind=reference";

/// Large enough that a truncation's activations do not fit the smallest budget.
const std::string kRecomputing =
    "train smoke --set mode=deterministic --set batch=4 --set "
    "checkpoint.every_updates=2 --set rule.hidden_channels=16 --set rule.top_channels=16 --set "
    "rule.delta_channels=8 --set tasks.minibatch=32 --set tasks.min_width=48 --set tasks.max_width=48 --set "
    "unroll.min_steps=6 --set unroll.max_steps=8 --set tasks.min_inner_steps=12 --set "
    "tasks.max_inner_steps=24";

/// Bytes that a truncation of kRecomputing's sizes keeps within a budget.
std::int64_t kept_bytes(std::int64_t memory_budget_mib) {
  auto options = paper_rule();
  options.neuron_local.hidden_blocks = 0;
  options.neuron_local.top_layers = 1;
  options.neuron_local.readout_channels = 2;
  options.neuron_local.output_units = 8;
  auto engine = cpu_engine();
  engine.memory_budget_mib = memory_budget_mib;
  const auto fused = rule::fused::make_fused_engine(options, engine);
  data::TaskOptions tasks;
  tasks.way = {3, 3};
  tasks.labelled_per_class = 2;
  tasks.subclasses = {1, 1};
  tasks.sizes = {32, {1, 1}, {48, 48}, {10, 100}};
  tasks.output_units = 8;
  const data::TaskDistribution distribution(tasks, {{toy_dataset(), 1.0}}, 1);
  const auto task = distribution.sample(0, 0);
  std::vector<rule::StepData> steps;
  for (int step = 0; step < 6; ++step) steps.push_back(distribution.step_data(task, step));
  const auto phi = rule::initial_phi(rule::phi_layout(options, task.architecture), 1, 0, 0);
  fused->truncation(task.architecture, rule::initial_theta(fused->theta_layout(), 1), phi, steps);
  return fused->arena_bytes();
}

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

/// Sends `signal` to rank `rank` of a run once its metrics have `lines` lines, and waits for the end of the
/// job. Returns what it wrote to stderr.
std::string disturb(const std::string& train, const std::string& run, int ranks, std::int64_t lines, int rank,
                    int signal) {
  std::vector<std::string> arguments = {OUTERLOOP_MPIRUN, "-n", std::to_string(ranks), OUTERLOOP_EXECUTABLE};
  std::istringstream words(train + " --set deadline_seconds=4 --run-dir " + run);
  for (std::string word; words >> word;) arguments.push_back(word);
  const TemporaryFolder folder;
  Process process(arguments, folder / "out", folder / "err");
  REQUIRE(comes_true(60.0, [&] { return lines_of_metrics(run) >= lines || process.ended(); }));
  const pid_t chosen = process_of_rank(run, rank);
  REQUIRE(chosen > 0);
  REQUIRE(kill(chosen, signal) == 0);
  REQUIRE(process.wait(60.0));
  return read_text(folder / "err");
}

}  // namespace

TEST_CASE(
    "the reference engine gives the same bits from any number of workers and any memory budget, cut or not") {
  const TemporaryFolder folder;
  const json alone = finished_run(folder / "alone", 1, kReference);
  CHECK(alone.at("updates") == 20);
  check_metrics(folder / "alone", 20);
  const json three = finished_run(folder / "three", 4, kReference + " --set engine.memory_budget_mib=1");
  CHECK(bits(three) == bits(alone));
  check_metrics(folder / "three", 20);
  const std::string run = folder / "cut";
  finished_run(run, 3, kReference + " --set updates=7");
  const json resumed = finished_run(run, 2, "train --resume --set updates=20");
  CHECK(bits(resumed) == bits(alone));
  check_metrics(run, 20);
}

TEST_CASE("θ has the same bits from 1, 2, 3 and 5 workers, and after a cut and with other workers") {
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
  const std::string run = folder / "cut";
  finished_run(run, 4, kDeterministic + " --set updates=7");
  const json resumed = finished_run(run, 3, "train --resume --set updates=20");
  CHECK(bits(resumed) == bits(alone));
  CHECK(resumed.at("gradients") == alone.at("gradients"));
  check_metrics(run, 20);
  const json other = finished_run(folder / "other", 3, kDeterministic + " --set seed=1");
  CHECK(bits(other) != bits(alone));
}

TEST_CASE(
    "any number of workers with any memory budget: the same bits, also where activations are recomputed") {
  const std::int64_t least = kept_bytes(1), some = kept_bytes(12), all = kept_bytes(1024);
  INFO("bytes kept: " << least << ", " << some << ", " << all);
  CHECK((least < some && some < all));  // so the first two recompute
  const TemporaryFolder folder;
  const json alone = finished_run(folder / "alone", 1, kRecomputing + " --set updates=6");
  const struct { int workers, budget; } cases[] = {{2, 12}, {1, 1}, {3, 1024}, {5, 1}};
  for (const auto& c : cases) {
    const std::string run = folder / std::to_string(c.workers);
    INFO(c.workers << " workers, " << c.budget << " MiB");
    const std::string budget = " --set engine.memory_budget_mib=" + std::to_string(c.budget);
    CHECK(bits(finished_run(run, c.workers + 1, kRecomputing + budget + " --set updates=6")) == bits(alone));
    check_metrics(run, 6);
  }
  // Half with one budget, resumed by another number of workers.
  finished_run(folder / "half", 2, kRecomputing + " --set updates=3 --set engine.memory_budget_mib=1");
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
  disturb(train, run, 3, 11, 0, SIGKILL);
  const json resumed = finished_run(run, 2, "train --resume");
  CHECK(bits(resumed) == bits(never));
  for (const auto& [update, evaluation] : evaluations_of(run)) CHECK(evaluation == expected.at(update));
  CHECK(evaluations_of(run).size() == 9);
  CHECK(resumed.at("best_update") == alone.at("best_update"));
}

TEST_CASE("a signal in the middle of an update, the death of everyone or of one worker changes no bit") {
  const TemporaryFolder folder;
  const std::string train = kDeterministic + " --set updates=" + std::to_string(kLongRun);
  const json whole = finished_run(folder / "whole", 1, train);
  for (const int signal : {SIGTERM, SIGKILL}) {
    const std::string run = folder / std::to_string(signal);
    // Rank 0 alone is told to stop, and tells the others; or it dies, and the others notice.
    disturb(train, run, 3, 8, 0, signal);
    if (signal == SIGTERM) CHECK(read_json(run + "/result.json").at("stop_reason") == "signal");
    const json resumed = finished_run(run, 2, "train --resume");
    CHECK(bits(resumed) == bits(whole));
    check_metrics(run, kLongRun);
  }
  // Without one worker the others go back to the last checkpoint, and on to the end.
  const std::string run = folder / "lost";
  const std::string err = disturb(train, run, 4, 8, 2, SIGKILL);
  INFO(err);
  const json result = read_json(run + "/result.json");
  CHECK(result.at("workers_lost") == 1);
  CHECK(result.at("updates") == kLongRun);
  CHECK(bits(result) == bits(whole));
  CHECK(result.at("gradients") == whole.at("gradients"));
  CHECK(occurrences(err, "back to the checkpoint of update") == 1);
  check_metrics(run, kLongRun);
}

TEST_CASE("ranks of different instruction sets are refused, and so is a change of device over a resume") {
  const TemporaryFolder folder;
  const std::string train =
      std::string("\\\"") + OUTERLOOP_EXECUTABLE + "\\\" " + kReference + " --run-dir " + (folder / "run");
  // Where a rank has failed, Open MPI 4 waits for its kill timeout, whether or not the others have ended.
  // Open MPI 5.0.7 fails on several programs in one line, so the last rank's environment is changed by the
  // rank itself.
  const auto mixed = run_shell("OMPI_MCA_orte_enable_recovery=0 OMPI_MCA_odls_base_sigkill_timeout=1 \"" +
                               std::string(OUTERLOOP_MPIRUN) +
                               "\" -n 3 sh -c \"test \\$OMPI_COMM_WORLD_RANK != 2 || "
                               "export ATEN_CPU_CAPABILITY=default; exec " +
                               train + "\"");
  INFO(mixed.err);
  CHECK(mixed.exit_code == 2);
  CHECK(occurrences(mixed.err, "outerloop: mode = deterministic needs one engine and instruction set") == 1);
  std::filesystem::remove_all(folder / "run");
  finished_run(folder / "run", 1, kReference + " --set updates=2");
  const auto moved = run_alone("train --resume --set device=cuda --run-dir " + (folder / "run"));
  CHECK(moved.exit_code == 2);
  CHECK(occurrences(moved.err, "the device may not change") == 1);
}
