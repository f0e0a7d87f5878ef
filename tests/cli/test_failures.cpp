// Workers that die, stand still and come back, and the budget of failures: real processes.
#include <map>

#include "tests/catch.h"
#include "tests/cli/process.h"

using namespace outerloop::tests;

namespace {

bool said(const TemporaryFolder& folder, const std::string& line, int times = 1) {
  return occurrences(read_text(folder / "err"), line) >= times;
}

/// Gradients of each worker in all lines of metrics.jsonl; every line must have `batch`.
std::map<std::string, std::int64_t> gradients_of(const std::string& run, std::int64_t batch) {
  std::map<std::string, std::int64_t> sums;
  std::istringstream text(read_text(run + "/metrics.jsonl"));
  for (std::string line; std::getline(text, line);) {
    const auto entry = nlohmann::json::parse(line);
    if (entry.contains("event")) continue;
    std::int64_t of_update = 0;
    for (const auto& [worker, gradients] : entry.at("gradients_of").items()) {
      sums[worker] += gradients.get<std::int64_t>();
      of_update += gradients.get<std::int64_t>();
    }
    CHECK(of_update == batch);
  }
  return sums;
}

/// θ's checksum at the end of the same run in one process, to which nothing happens.
std::string unbroken_bits(const std::vector<std::string>& settings) {
  const TemporaryFolder folder;
  std::string line = "train smoke --run-dir " + (folder / "whole");
  for (const auto& setting : settings) line += " --set " + setting;
  REQUIRE(run_alone(line).exit_code == 0);
  return read_json(folder / "whole/result.json").at("theta_sha256");
}

bool can_join() {
  const bool can =
      run_shell("command -v ompi-server && mpirun --version | grep -q \\(Open.MPI\\).4").exit_code == 0;
  if (!can)
    std::printf("skipped: only Open MPI 4 with its ompi-server connects processes of different launches\n");
  return can;
}

}  // namespace

TEST_CASE("beyond max_failures the run ends with a checkpoint and the list of what died where") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  Process process(job(run, 4, {"updates=1000000", "max_failures=1", "deadline_seconds=600"}), folder / "out",
                  folder / "err");
  // No deadline is waited for: rank 0 sees the end of processes on its own host.
  std::map<int, pid_t> killed;
  for (const int rank : {2, 3}) {
    killed[rank] = training_rank(run, rank, process);
    REQUIRE(kill(killed[rank], rank == 2 ? SIGKILL : SIGSEGV) == 0);
    REQUIRE(comes_true(10.0, [&] { return said(folder, "is lost: its process has ended", rank - 1); }));
  }
  REQUIRE(process.wait(100.0));
  INFO(read_text(folder / "err"));
  CHECK(said(folder, "2 workers were lost within an hour, and max_failures = 1: the run ends"));
  const auto result = read_json(run + "/result.json");
  CHECK(result.at("stop_reason") == "failures");
  CHECK(result.at("workers_lost") == 2);
  REQUIRE(result.at("lost").size() == 2);
  for (const auto& loss : result.at("lost")) {
    CHECK(killed.at(loss.at("worker")) == loss.at("process"));
    CHECK_FALSE(loss.at("host").get<std::string>().empty());
    CHECK(loss.at("reason") == "its process has ended");
    // Whichever of the two is looked at first.
    const std::string by = loss.at("noticed_by");
    CHECK((by == "connection" || by == "process"));
    CHECK(loss.at("after_seconds").get<double>() < 5.0);
    const std::string line = "(process " + std::to_string(loss.at("process").get<int>()) + ") at update ";
    CHECK(occurrences(read_text(folder / "out"), line) == 1);
  }
  // The last update is in a checkpoint, and the run continues from there.
  const auto updates = result.at("updates").get<std::int64_t>();
  CHECK(run_alone("inspect " + run + "/checkpoints/latest --json " + (folder / "i.json")).exit_code == 0);
  CHECK(read_json(folder / "i.json").at("update") == updates);
  const std::string more = std::to_string(updates + 2);
  CHECK(run_alone("train --resume --run-dir " + run + " --set updates=" + more).exit_code == 0);
}

TEST_CASE("the exit code of rank 0 is 1 where a run ends by its failures") {
  const TemporaryFolder folder;
  const std::string run = folder / "run", code = folder / "code";
  // A shell around each rank notes that of rank 0; scripts/mpirun's is the same.
  // (Rank 0 alone in a shell would need a launch of two programs, "A : B", in which Open MPI 5.0.7's mpirun
  // crashes.)
  auto arguments = job(run, 2, {"updates=1000000", "max_failures=0", "deadline_seconds=600"});
  const std::string note = "\"$@\"; code=$?; [ $OMPI_COMM_WORLD_RANK != 0 ] || echo $code > " + code;
  arguments.insert(arguments.begin() + 3, {"sh", "-c", note, "sh"});
  Process process(arguments, folder / "out", folder / "err");
  REQUIRE(kill(training_rank(run, 1, process), SIGKILL) == 0);
  REQUIRE(process.wait(100.0));
  INFO(read_text(folder / "err"));
  CHECK(read_text(code) == "1\n");
  CHECK(process.exit_code() == 1);
  CHECK(read_json(run + "/result.json").at("stop_reason") == "failures");
}

TEST_CASE("a worker that stood still beyond its deadline comes back: it is refused, and ends") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  Process process(job(run, 3, {"updates=1000000", "seconds=12", "deadline_seconds=2", "batch=3"}),
                  folder / "out", folder / "err");
  const pid_t stopped = training_rank(run, 2, process);
  REQUIRE(kill(stopped, SIGSTOP) == 0);
  const bool lost = comes_true(30.0, [&] { return said(folder, "silent for 2 s"); });
  const auto before = gradients_of(run, 3);
  REQUIRE(kill(stopped, SIGCONT) == 0);
  REQUIRE(lost);
  // Its gradient, which may have lain in MPI's hands all the while, comes now: and it leaves.
  CHECK(comes_true(20.0, [&] { return process_of_rank(run, 2) < 0; }));
  REQUIRE(process.wait(100.0));
  INFO(read_text(folder / "err"));
  const auto after = gradients_of(run, 3);
  CHECK(after.at("2") == before.at("2"));
  CHECK(after.at("1") > before.at("1"));
  const auto result = read_json(run + "/result.json");
  CHECK(result.at("stop_reason") == "seconds");
  CHECK(result.at("workers_lost") == 1);
  CHECK(result.at("gradients") == 3 * result.at("updates").get<std::int64_t>());
}

TEST_CASE("with --respawn a lost worker is replaced within ten seconds, also where it was the only one") {
  const std::vector<std::string> settings = {"mode=deterministic", "batch=6", "checkpoint.every_updates=5",
                                             "deadline_seconds=600",
                                             kSanitized ? "updates=60" : "updates=120"};
  const TemporaryFolder folder;
  const std::string whole = unbroken_bits(settings);
  for (const int ranks : {2, 3}) {
    const std::string run = folder / std::to_string(ranks), err = folder / (std::to_string(ranks) + ".err");
    auto arguments = job(run, ranks, settings);
    arguments.emplace_back("--respawn");
    Process process(arguments, folder / "out", err);
    REQUIRE(kill(training_rank(run, 1, process), SIGKILL) == 0);
    const double killed = seconds_now();
    const std::string number = std::to_string(ranks);
    // It works once an update has a gradient of its own.
    const std::string share = "\"" + number + "\":";
    REQUIRE(comes_true(100.0, [&] {
      return process.ended() || read_text(run + "/metrics.jsonl").find(share) != std::string::npos;
    }));
    const double replaced = seconds_now() - killed;
    REQUIRE(process.wait(200.0));
    INFO(read_text(err));
    CHECK(replaced < (kSanitized ? 40.0 : 10.0));
    CHECK(occurrences(read_text(err), "worker " + number + " is started in the place of worker 1") == 1);
    const auto result = read_json(run + "/result.json");
    CHECK(result.at("stop_reason") == "updates");
    CHECK(result.at("workers_lost") == 1);
    CHECK(result.at("workers").at(number).at("gradients") > 0);
    CHECK(result.at("theta_sha256") == whole);
  }
  const auto alone = run_alone("train smoke --respawn --run-dir " + (folder / "alone"));
  CHECK(alone.exit_code == 2);
  CHECK(occurrences(alone.err, "--respawn: one process does everything itself") == 1);
  CHECK_FALSE(std::filesystem::exists(folder / "alone"));
}

TEST_CASE("workers of another mpirun join a run that goes on, and the bits stay the same") {
  if (!can_join()) return;
  const std::vector<std::string> settings = {"mode=deterministic", "batch=6", "checkpoint.every_updates=5",
                                             kSanitized ? "updates=100" : "updates=250"};
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  auto arguments = job(run, 2, settings);
  arguments.emplace_back("--joinable");
  Process process(arguments, folder / "out", folder / "err");
  training_rank(run, 1, process);
  // The token is in it.
  using std::filesystem::perms;
  CHECK(std::filesystem::status(run + "/join.json").permissions() ==
        (perms::owner_read | perms::owner_write));
  Process joiners({OUTERLOOP_MPIRUN, "-n", "2", OUTERLOOP_EXECUTABLE, "train", "--join", run},
                  folder / "out2", folder / "err2");
  const bool ended = process.wait(200.0);
  INFO(read_text(folder / "err") << read_text(folder / "err2"));
  REQUIRE(ended);
  CHECK(joiners.wait(60.0));
  CHECK(occurrences(read_text(folder / "out2"), "joined the run in " + run + ": 2 workers of this job") == 1);
  const auto result = read_json(run + "/result.json");
  CHECK(result.at("stop_reason") == "updates");
  CHECK(result.at("workers_lost") == 0);
  for (const std::string number : {"2", "3"}) CHECK(result.at("workers").at(number).at("gradients") > 0);
  CHECK(result.at("theta_sha256") == unbroken_bits(settings));
  CHECK_FALSE(std::filesystem::exists(run + "/join.json"));
  // Now there is nothing to join, and it is said.
  const auto late = run_on_ranks(2, "train --join " + run);
  CHECK(occurrences(late.err, "join.json: cannot be read") >= 1);
}

TEST_CASE(
    "a signal to workers that joined lets them leave in good order, and the run continues with the same "
    "bits") {
  if (!can_join()) return;
  for (const std::string mode : {"deterministic", "asynchronous"}) {
    const std::vector<std::string> settings = {"mode=" + mode, "batch=6", "streams=6", "max_failures=0"};
    const TemporaryFolder folder;
    const std::string run = folder / "run";
    auto arguments = job(run, 2, settings);
    arguments.insert(arguments.end(), {"--set", "updates=1000000", "--joinable"});
    Process process(arguments, folder / "out", folder / "err");
    training_rank(run, 1, process);
    Process joiners({OUTERLOOP_MPIRUN, "-n", "2", OUTERLOOP_EXECUTABLE, "train", "--join", run},
                    folder / "out2", folder / "err2");
    REQUIRE(comes_true(100.0, [&] {
      const std::string metrics = read_text(run + "/metrics.jsonl");
      return metrics.find("\"2\":") != std::string::npos && metrics.find("\"3\":") != std::string::npos;
    }));
    joiners.send(SIGTERM);
    const bool left = joiners.wait(60.0);
    INFO(read_text(folder / "err") << read_text(folder / "err2"));
    REQUIRE(left);
    CHECK(joiners.exit_code() == 0);
    CHECK(comes_true(10.0, [&] { return said(folder, "leaves after a signal", 2); }));
    const auto lines = lines_of_metrics(run);
    CHECK(comes_true(60.0, [&] { return lines_of_metrics(run) > lines + 5; }));
    process.send(SIGTERM);
    REQUIRE(process.wait(60.0));
    const auto result = read_json(run + "/result.json");
    CHECK(result.at("stop_reason") == "signal");
    CHECK(result.at("workers_lost") == 0);
    REQUIRE(result.at("left").size() == 2);
    CHECK(result.at("left").at(0).at("worker").get<int>() + result.at("left").at(1).at("worker").get<int>() ==
          5);
    CHECK(occurrences(read_text(folder / "out"), "  worker left ") == 2);
    if (mode == "asynchronous") continue;
    auto whole = settings;
    whole.push_back("updates=" + std::to_string(result.at("updates").get<std::int64_t>()));
    CHECK(result.at("theta_sha256") == unbroken_bits(whole));
  }
}

TEST_CASE("a second worker dies while the run recovers from the first: the same bits all the same") {
  const std::vector<std::string> settings = {"mode=deterministic", "batch=6", "checkpoint.every_updates=5",
                                             "deadline_seconds=600",
                                             kSanitized ? "updates=60" : "updates=120"};
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  Process process(job(run, 4, settings), folder / "out", folder / "err");
  const pid_t first = training_rank(run, 1, process), second = process_of_rank(run, 3);
  REQUIRE(second > 0);
  REQUIRE(kill(first, SIGKILL) == 0);
  // At the moment of the rollback, when streams are dealt out anew.
  REQUIRE(comes_true(30.0, [&] { return said(folder, "back to the checkpoint of update"); }));
  REQUIRE(kill(second, SIGKILL) == 0);
  REQUIRE(process.wait(200.0));
  INFO(read_text(folder / "err"));
  CHECK(said(folder, "back to the checkpoint of update", 2));
  const auto result = read_json(run + "/result.json");
  CHECK(result.at("stop_reason") == "updates");
  CHECK(result.at("workers_lost") == 2);
  CHECK(result.at("theta_sha256") == unbroken_bits(settings));
}

TEST_CASE("a program file that was replaced or removed starts no replacements, and the run continues") {
  namespace fs = std::filesystem;
  for (const bool removed : {false, true}) {
    const TemporaryFolder folder;
    const std::string run = folder / "run", program = folder / "outerloop", err = folder / "err";
    fs::copy_file(OUTERLOOP_EXECUTABLE, program);
    auto arguments = job(run, 3, {"updates=1000000", "seconds=20", "deadline_seconds=600"});
    for (auto& argument : arguments) {
      if (argument == OUTERLOOP_EXECUTABLE) argument = program;
      if (argument == "smoke") argument = OUTERLOOP_CONFIGS "/smoke.textproto";
    }
    arguments.emplace_back("--respawn");
    Process process(arguments, folder / "out", err);
    const pid_t lost = training_rank(run, 1, process, program);
    fs::rename(program, folder / "old");
    if (!removed) fs::copy_file(OUTERLOOP_EXECUTABLE, program);
    REQUIRE(kill(lost, SIGKILL) == 0);
    REQUIRE(process.wait(100.0));
    INFO(read_text(err));
    CHECK(process.exit_code() == 0);
    CHECK(occurrences(read_text(err), "worker 1 is not replaced: " + program + ": the program's file") == 1);
    const auto result = read_json(run + "/result.json");
    CHECK(result.at("stop_reason") == "seconds");
    CHECK(result.at("workers_lost") == 1);
  }
}

namespace {

/// The process with exactly that command line; -1 where there is none.
pid_t process_with_arguments(const std::vector<std::string>& arguments) {
  std::string wanted;
  for (const auto& argument : arguments) wanted += argument + '\0';
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string path = entry.path().string();
    if (path.find_first_not_of("0123456789", 6) == std::string::npos &&
        read_text(path + "/cmdline") == wanted)
      return std::stoi(path.substr(6));
  }
  return -1;
}

}  // namespace

TEST_CASE("a replacement that dies while MPI starts it costs a restart, not the run nor a bit") {
  const std::vector<std::string> settings = {"mode=deterministic", "batch=6", "checkpoint.every_updates=5",
                                             "deadline_seconds=600", "updates=60"};
  const TemporaryFolder folder;
  const std::string whole = unbroken_bits(settings), run = folder / "run", err = folder / "err";
  auto arguments = job(run, 3, settings);
  arguments.emplace_back("--respawn");
  Process process(arguments, folder / "out", err);
  REQUIRE(kill(training_rank(run, 1, process), SIGKILL) == 0);
  const auto kill_replacement = [&] {
    const pid_t replacement = process_with_arguments({OUTERLOOP_EXECUTABLE, "train", "--respawn"});
    return replacement > 0 && kill(replacement, SIGKILL) == 0;
  };
  double end = seconds_now() + 60.0;
  while (!kill_replacement() && !process.ended() && seconds_now() < end) std::this_thread::yield();
  REQUIRE(process.wait(200.0));
  INFO(read_text(err));
  CHECK(process.exit_code() == 0);
  const auto result = read_json(run + "/result.json");
  CHECK(result.at("stop_reason") == "updates");
  CHECK(result.at("theta_sha256") == whole);
  // It may have died before MPI took notice, or after: then nothing had to be started again.
  if (occurrences(read_text(err), "MPI was asked to start a worker") == 1)
    CHECK(occurrences(read_text(err), "the run continues from its last checkpoint") == 1);
}

TEST_CASE("workers that joined follow a run that MPI has forced into a new job") {
  if (!can_join()) return;
  const std::vector<std::string> settings = {"mode=deterministic", "batch=6", "checkpoint.every_updates=5",
                                             "deadline_seconds=600",
                                             kSanitized ? "updates=300" : "updates=1000"};
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  auto arguments = job(run, 2, settings);
  arguments.insert(arguments.end(), {"--joinable", "--respawn"});
  Process process(arguments, folder / "out", folder / "err");
  const pid_t worker = training_rank(run, 1, process);
  Process joiners({OUTERLOOP_MPIRUN, "-n", "1", OUTERLOOP_EXECUTABLE, "train", "--join", run},
                  folder / "out2", folder / "err2");
  const auto joined = [&](int times) {
    return occurrences(read_text(folder / "out2"), "joined the run in " + run) == times;
  };
  REQUIRE(comes_true(60.0, [&] { return joined(1); }));
  // A replacement that stands still within MPI_Init keeps rank 0 in MPI_Comm_spawn.
  REQUIRE(kill(worker, SIGKILL) == 0);
  pid_t replacement = -1;
  REQUIRE(comes_true(60.0, [&] {
    replacement = process_with_arguments({OUTERLOOP_EXECUTABLE, "train", "--respawn"});
    return replacement > 0 && kill(replacement, SIGSTOP) == 0;
  }));
  const bool ended = comes_true(60.0, [&] { return said(folder, "MPI was asked to start a worker"); });
  kill(replacement, SIGKILL);
  REQUIRE(ended);
  CHECK(comes_true(90.0, [&] { return joined(2) || joiners.ended(); }));
  REQUIRE(process.wait(200.0));
  REQUIRE(joiners.wait(60.0));
  INFO(read_text(folder / "err") << read_text(folder / "err2"));
  CHECK(process.exit_code() == 0);
  CHECK(joiners.exit_code() == 0);
  CHECK(joined(2));
  CHECK(occurrences(read_text(folder / "err2"), "continues in a new job: joining it again") == 1);
  const auto result = read_json(run + "/result.json");
  CHECK(result.at("stop_reason") == "updates");
  CHECK(result.at("theta_sha256") == unbroken_bits(settings));
}

TEST_CASE("a request to join behind which there is nobody is forgotten") {
  if (!can_join()) return;
  const TemporaryFolder folder;
  const std::string run = folder / "run", err = folder / "err";
  auto arguments = job(run, 2, {"updates=1000000", "seconds=25"});
  arguments.emplace_back("--joinable");
  Process process(arguments, folder / "out", err);
  training_rank(run, 1, process);
  REQUIRE(std::filesystem::exists(run + "/join.json"));
  std::ofstream(run + "/join.tmp").close();
  CHECK(comes_true(20.0, [&] { return !std::filesystem::exists(run + "/join.tmp") || process.ended(); }));
  const auto lines = lines_of_metrics(run);
  CHECK(comes_true(10.0, [&] { return lines_of_metrics(run) > lines; }));
  REQUIRE(process.wait(60.0));
  INFO(read_text(err));
  CHECK(process.exit_code() == 0);
  CHECK(occurrences(read_text(err), "a request to join") == 1);
}
