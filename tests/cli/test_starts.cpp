// Careless starts: of one run twice, of a run whose data has moved, with a configuration edited by hand, in a
// folder that somebody deletes.
#include <algorithm>
#include <fstream>
#include <memory>

#include "tests/catch.h"
#include "tests/cli/process.h"
#include "tests/data/files.h"

using namespace outerloop::tests;
namespace fs = std::filesystem;

namespace {

/// Of one process, as users start it.
std::vector<std::string> alone(const std::string& run, std::vector<std::string> more) {
  std::vector<std::string> arguments = {OUTERLOOP_EXECUTABLE, "train", "--run-dir", run};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// A process that trains until it is told to stop.
std::unique_ptr<Process> endless(const TemporaryFolder& folder, const std::string& run,
                                 const std::vector<std::string>& more) {
  auto process = std::make_unique<Process>(alone(run, more), folder / "out", folder / "err");
  const auto before = lines_of_metrics(run);
  REQUIRE(comes_true(60.0, [&] { return lines_of_metrics(run) >= before + 3 || process->ended(); }));
  REQUIRE_FALSE(process->ended());
  return process;
}

std::string stop_reason(const std::string& run) {
  return read_json(run + "/result.json").at("stop_reason").get<std::string>();
}

int superseded_in(const std::string& run) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(run + "/checkpoints"))
    count += entry.path().extension() == ".superseded" ? 1 : 0;
  return count;
}

void write_pictures(const std::string& folder, std::uint64_t seed) {
  for (const char* name : {"a", "b", "c"})
    for (int i = 0; i < 12; ++i)
      write_file(folder + "/" + name + "/" + std::to_string(i) + ".png", encode_png(waves(32, 32, seed++)));
}

/// The preset `smoke` on pictures beside it.
void write_project(const std::string& folder) {
  write_pictures(folder + "/pics", 1);
  std::ofstream(folder + "/my.textproto") << R"(updates: 4 batch: 4
rule { hidden_channels: 4 top_channels: 4 delta_channels: 3 readout_channels: 2 hidden_blocks: 0 top_layers: 1 output_units: 8 }
tasks { dataset { name: "folder" path: "pics" } size: 8 min_way: 3 max_way: 3 labelled_per_class: 4 minibatch: 8
        max_hidden_layers: 1 min_width: 8 max_width: 12 max_inner_steps: 20 })";
}

/// Has the project in `config` evaluate on the pictures in `path`.
void write_evaluation(const std::string& config, const std::string& path) {
  std::ofstream(config, std::ios::app) << "\nevaluation { every_updates: 2 tasks: 1 inner_steps: 2 dataset { "
                                          "name: \"folder\" path: \"" +
                                              path + "\" } }\n";
}

/// Changes config.textproto as an editor would.
void edit(const std::string& run, const std::string& from, const std::string& to) {
  std::string text = read_text(run + "/config.textproto");
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  std::ofstream(run + "/config.textproto") << text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("a second start is refused by the name of the first, whatever its kind and its ranks") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  const auto first = endless(folder, run, {"smoke", "--set", "updates=1000000"});
  CHECK(stop_reason(run) == "running");
  const std::string who = ": process " + std::to_string(first->pid()) + " on ";
  for (const std::string start : {"--resume", "smoke"}) {
    const auto second = run_alone("train " + start + " --run-dir " + run);
    INFO(second.err);
    CHECK(second.exit_code == 2);
    CHECK(occurrences(second.err, who) == 1);
    CHECK(occurrences(second.err, "\n") == 1);
  }
  const auto ranks = run_on_ranks(3, "train --resume --run-dir " + run);
  INFO(ranks.err);
  CHECK(occurrences(ranks.err, who) == 1);
  first->send(SIGTERM);
  REQUIRE(first->wait(60.0));
  CHECK(first->exit_code() == 0);
  CHECK(stop_reason(run) == "signal");
  CHECK(superseded_in(run) == 0);
  CHECK_FALSE(fs::exists(run + "/lock"));
}

TEST_CASE("a run whose process was killed goes on at once") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  const auto first = endless(folder, run, {"smoke", "--set", "updates=1000000"});
  first->send(SIGKILL);
  REQUIRE(first->wait(60.0));
  CHECK(stop_reason(run) == "running");
  const double began = seconds_now();
  const auto second = run_alone("train --resume --run-dir " + run + " --set updates=2");
  INFO(second.err);
  CHECK(second.exit_code == 0);
  CHECK(seconds_now() - began < 19.0);
  CHECK(stop_reason(run) == "updates");
}

TEST_CASE("of several new starts at the same moment one trains, and the others take nothing from it") {
  for (int round = 0; round < 5; ++round) {
    const TemporaryFolder folder;
    const std::string run = folder / "run";
    std::vector<std::unique_ptr<Process>> starts;
    for (int i = 0; i < 4; ++i)
      starts.push_back(std::make_unique<Process>(alone(run, {"smoke", "--set", "updates=30"}), folder / "out",
                                                 folder / ("err" + std::to_string(i))));
    int won = 0, refused = 0;
    for (auto& start : starts) {
      REQUIRE(start->wait(100.0));
      won += start->exit_code() == 0 ? 1 : 0;
      refused += start->exit_code() == 2 ? 1 : 0;
    }
    CHECK(won == 1);
    CHECK(refused == 3);
    CHECK(stop_reason(run) == "updates");
    CHECK(superseded_in(run) == 0);
    CHECK(fs::exists(run + "/rule.h5"));
  }
}

TEST_CASE("a start that fails leaves nothing in the way of the next one") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  write_project(folder.path());
  const std::string start = "train " + (folder / "my.textproto") + " --run-dir " + run;
  const auto failed = run_alone(start + " --data folder=" + (folder / "none"));
  CHECK(failed.exit_code == 2);
  CHECK_FALSE(fs::exists(run));
  fs::create_directories(run + "/lost+found");
  const auto next = run_alone(start);
  INFO(next.err);
  CHECK(next.exit_code == 0);
}

TEST_CASE("a run is resumed from any folder, and from data that has moved as long as it is the same") {
  const TemporaryFolder folder;
  write_project(folder.path());
  const std::string in_project = "cd " + folder.path().string() + " && " + executable() + " train ";
  REQUIRE(run_shell(in_project + "my.textproto --run-dir run").exit_code == 0);
  const std::string run = folder / "run";
  const auto resume = [&](const std::string& more) {
    return run_shell("cd / && " + executable() + " train --resume --run-dir " + run + " " + more);
  };
  const auto plain = resume("--set updates=5");
  INFO(plain.err);
  CHECK(plain.exit_code == 0);

  fs::rename(folder / "pics", folder / "moved");
  CHECK(resume("--set updates=6").exit_code == 2);
  write_pictures(folder / "others", 1000);
  const auto others = resume("--set updates=6 --data folder=" + (folder / "others"));
  CHECK(others.exit_code == 2);
  CHECK(occurrences(others.err, "at its new path differs from the one that the run began with") == 1);
  CHECK(resume("--set updates=6").exit_code == 2);  // nothing was kept of that
  const auto moved = resume("--set updates=6 --data folder=" + (folder / "moved"));
  INFO(moved.err);
  CHECK(moved.exit_code == 0);
  CHECK(resume("--set updates=7").exit_code == 0);  // the new path was
  fs::rename(folder / "moved", folder / "again");
  CHECK(resume("--set updates=8 --set tasks.dataset.path=" + (folder / "again")).exit_code == 0);
  CHECK(read_json(run + "/result.json").at("updates") == 8);
}

TEST_CASE("data for evaluation that has moved is held to what the run began with, too") {
  const TemporaryFolder folder;
  write_project(folder.path());
  write_evaluation(folder / "my.textproto", "held");
  write_pictures(folder / "held", 500);
  const std::string run = folder / "run";
  REQUIRE(run_alone("train " + (folder / "my.textproto") + " --run-dir " + run).exit_code == 0);
  fs::rename(folder / "held", folder / "moved");
  write_pictures(folder / "others", 1000);
  const auto resume = [&](int updates, const std::string& to) {
    return run_alone("train --resume --run-dir " + run + " --set updates=" + std::to_string(updates) +
                     " --set evaluation.dataset.path=" + (folder / to));
  };
  const auto others = resume(6, "others");
  INFO(others.err);
  CHECK(others.exit_code == 2);
  CHECK(occurrences(others.err, "dataset folder at its new path differs from the one") == 1);
  const auto moved = resume(6, "moved");
  INFO(moved.err);
  CHECK(moved.exit_code == 0);
}

TEST_CASE(
    "config.textproto edited by hand between two starts: what may change is said, what may not is refused") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  REQUIRE(run_alone("train smoke --set updates=2 --run-dir " + run).exit_code == 0);
  edit(run, "updates: 2\n", "updates: 4\n");
  const auto allowed = run_alone("train --resume --run-dir " + run);
  INFO(allowed.err);
  CHECK(allowed.exit_code == 0);
  CHECK(occurrences(allowed.err, "config.textproto: updates is 4; the run began with 2") == 1);
  CHECK(read_json(run + "/result.json").at("updates") == 4);
  edit(run, "learning_rate: 0.003", "learning_rate: 0.3");
  const auto refused = run_alone("train --resume --run-dir " + run + " --set updates=6");
  INFO(refused.err);
  CHECK(refused.exit_code == 2);
  CHECK(occurrences(refused.err, "optimizer.learning_rate is 0.3, but the run used 0.003 so far") == 1);
  CHECK_FALSE(fs::exists(run + "/lock"));
}

TEST_CASE("a run directory that is deleted in mid-run is there again, and the run can be resumed") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  const auto first = endless(folder, run, {"smoke", "--set", "updates=1000000"});
  fs::rename(run, folder / "gone");
  fs::remove_all(folder / "gone");
  REQUIRE(comes_true(60.0, [&] { return fs::exists(run + "/checkpoints/latest"); }));
  first->send(SIGTERM);
  REQUIRE(first->wait(60.0));
  const std::string err = read_text(folder / "err");
  INFO(err);
  CHECK(first->exit_code() == 0);
  CHECK(occurrences(err, "was deleted during the run") == 1);
  CHECK(stop_reason(run) == "signal");
  const auto updates = read_json(run + "/result.json").at("updates").get<std::int64_t>() + 5;
  const auto resumed =
      run_alone("train --resume --run-dir " + run + " --set updates=" + std::to_string(updates));
  INFO(resumed.err);
  CHECK(resumed.exit_code == 0);
  CHECK(read_json(run + "/result.json").at("updates") == updates);
}

namespace {

/// Three ranks with the pictures in `first`, and one with those in `last`, as on another host. `key` takes
/// them.
std::vector<std::string> two_kinds_of_hosts(const TemporaryFolder& folder, const std::string& run,
                                            const std::vector<std::string>& more,
                                            const std::string& key = "tasks.dataset.path") {
  // One command for all: mpirun of Open MPI 5.0.7 crashes on two with a colon between them.
  const std::string as_on_hosts = R"(TEST_PICTURES=$0; [ "$OMPI_COMM_WORLD_RANK" -lt 3 ] || TEST_PICTURES=$1
                                     export TEST_PICTURES; shift; exec "$@")";
  std::vector<std::string> arguments = {OUTERLOOP_MPIRUN,
                                        "-n",
                                        "4",
                                        "sh",
                                        "-c",
                                        as_on_hosts,
                                        folder / "first",
                                        folder / "last",
                                        OUTERLOOP_EXECUTABLE,
                                        "train",
                                        folder / "my.textproto",
                                        "--run-dir",
                                        run,
                                        "--set",
                                        key + "=$TEST_PICTURES"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace

TEST_CASE("hosts with different data are named: an error in deterministic mode, else a warning") {
  const TemporaryFolder folder;
  write_project(folder.path());
  write_pictures(folder / "first", 1);
  write_pictures(folder / "last", 77);
  const std::string run = folder / "run";
  const std::string line = "dataset folder differs between hosts: ranks 1, 2 on ";
  {
    Process process(two_kinds_of_hosts(folder, run, {"--set", "mode=deterministic", "--set", "streams=4"}),
                    folder / "out", folder / "err");
    REQUIRE(process.wait(100.0));
    const std::string err = read_text(folder / "err");
    INFO(err);
    CHECK(process.exit_code() == 2);
    CHECK(occurrences(err, line) == 1);
    CHECK(err.find("rank 3 on ") != std::string::npos);
    CHECK(occurrences(err, "36 examples of 3 classes") == 2);
    CHECK_FALSE(fs::exists(run));
  }
  Process process(two_kinds_of_hosts(folder, run, {}), folder / "out", folder / "err");
  REQUIRE(process.wait(100.0));
  INFO(read_text(folder / "err"));
  CHECK(process.exit_code() == 0);
  CHECK(occurrences(read_text(folder / "err"), line) == 1);
  CHECK(read_json(run + "/result.json").at("stop_reason") == "updates");
  // The checkpoint keeps what most have, who can therefore go on with it.
  for (const auto& [pictures, said] : {std::pair("first", 0), std::pair("last", 1)}) {
    ::setenv("TEST_PICTURES", (folder / pictures).c_str(), 1);
    const auto resumed =
        run_alone("train --resume --run-dir " + run + " --set updates=" + std::to_string(5 + said));
    ::unsetenv("TEST_PICTURES");
    INFO(resumed.err);
    CHECK(resumed.exit_code == 0);
    CHECK(occurrences(resumed.err, "differs from the one this run began with") == said);
  }
}

TEST_CASE("hosts with different data for evaluation are named as well") {
  const TemporaryFolder folder;
  write_project(folder.path());
  write_evaluation(folder / "my.textproto", "first");
  write_pictures(folder / "first", 1000);
  write_pictures(folder / "last", 2000);
  const std::string run = folder / "run";
  const std::string line = "dataset folder differs between hosts: ranks 1, 2 on ";
  for (const bool deterministic : {true, false}) {
    Process process(two_kinds_of_hosts(folder, run,
                                       {"--set", deterministic ? "mode=deterministic" : "mode=asynchronous",
                                        "--set", "streams=4"},
                                       "evaluation.dataset.path"),
                    folder / "out", folder / "err");
    REQUIRE(process.wait(100.0));
    INFO(read_text(folder / "err"));
    CHECK(process.exit_code() == (deterministic ? 2 : 0));
    CHECK(occurrences(read_text(folder / "err"), line) == 1);
    CHECK(fs::exists(run) == !deterministic);
  }
}
