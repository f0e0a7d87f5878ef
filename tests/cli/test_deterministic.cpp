// mode: deterministic from end to end: the same bits of θ from any number of workers, after any cut and any
// loss.
#include "tests/catch.h"
#include "tests/cli/run_command.h"

using namespace outerloop::tests;
using nlohmann::json;

namespace {

/// The smallest run; six streams do not divide evenly among 4 or 5 workers.
const std::string kDeterministic =
    "train smoke --set mode=deterministic --set engine.kind=reference --set batch=6 --set "
    "checkpoint.every_updates=5";

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

/// Starts a run in the background, waits for its line of `update`, and sends `signal` to the processes whose
/// ids `choose` prints.
Finished disturb(const std::string& run, int ranks, const std::string& more, int update,
                 const std::string& choose, const std::string& signal) {
  return run_shell(std::string("\"") + OUTERLOOP_MPIRUN + "\" -n " + std::to_string(ranks) + " " +
                   executable() + " " + kDeterministic + " --set deadline_seconds=2 " + more + " --run-dir " +
                   run + " & for i in $(seq 600); do sleep 0.05; grep -q update.:" + std::to_string(update) +
                   ", " + run + "/metrics.jsonl 2>/dev/null && break; done; kill -" + signal + " $(" +
                   choose + "); wait $!");
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

TEST_CASE("a signal in the middle of an update, or the death of everyone, changes no bit") {
  const TemporaryFolder folder;
  const json whole = finished_run(folder / "whole", 3, kDeterministic + " --set updates=60");
  for (const std::string signal : {"TERM", "KILL"}) {
    const std::string run = folder / signal;
    // Rank 0 alone is told to stop, and tells the others; or it dies, and the others notice.
    disturb(run, 3, "--set updates=60", 8, process_of_rank(run, 0), signal);
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
  const auto finished = disturb(run, 4, "--set updates=60", 8, process_of_rank(run, 2), "KILL");
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
