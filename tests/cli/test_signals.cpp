// SIGTERM, SIGINT, SIGUSR1, SIGUSR2 and SIGHUP, each to rank 0, to a worker and to scripts/mpirun: a complete
// checkpoint, a line that says how to go on, exit 0 from every rank, within ten seconds.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/catch.h"
#include "tests/cli/process.h"

using namespace outerloop::tests;

namespace {

constexpr double kMostSeconds = 10.0;
constexpr int kRanks = 3;
constexpr int kLauncher = -1;

std::string preset() {
  const char* wish = std::getenv("OUTERLOOP_SIGNALS_PRESET");
  return wish != nullptr ? wish : "smoke";
}

/// The job, with every rank's exit code in the file `codes`. The shell between mpirun and the rank leaves the
/// signals to the rank, which sets handlers of its own.
std::vector<std::string> job(const std::string& run, const std::string& codes) {
  const std::string command = "trap : TERM INT USR1 USR2 HUP; " + executable() + " train " + preset() +
                              " --run-dir " + run + " --set updates=1000000 --set seconds=0; echo $? >> " +
                              codes;
  return {OUTERLOOP_MPIRUN, "-n", std::to_string(kRanks), "sh", "-c", command};
}

std::string name_of(int target) {
  return target == kLauncher ? "scripts/mpirun" : target == 0 ? "rank 0" : "rank " + std::to_string(target);
}

/// Seconds from the signal to the end of the job.
double end_by(int signal, int target) {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  Process launcher(job(run, folder / "codes"), folder / "out", folder / "err");
  REQUIRE(comes_true(90.0, [&] { return lines_of_metrics(run) >= 4 || launcher.ended(); }));
  const pid_t pid = target == kLauncher ? launcher.pid() : process_of_rank(run, target);
  INFO(read_text(folder / "err"));
  REQUIRE(pid > 0);
  const double start = seconds_now();
  REQUIRE(kill(pid, signal) == 0);
  REQUIRE(launcher.wait(60.0));
  const double seconds = seconds_now() - start;
  INFO(read_text(folder / "err"));
  CHECK(launcher.exit_code() == 0);
  CHECK(read_text(folder / "codes") == "0\n0\n0\n");
  const auto result = read_json(run + "/result.json");
  CHECK(result.at("stop_reason") == "signal");
  CHECK(occurrences(read_text(folder / "out"), "To continue: outerloop train --resume --run-dir " + run) ==
        1);
  const auto inspected =
      run_alone("inspect " + run + "/checkpoints/latest --json " + (folder / "latest.json"));
  REQUIRE(inspected.exit_code == 0);
  CHECK(read_json(folder / "latest.json").at("update") == result.at("updates"));
  CHECK(read_json(folder / "latest.json").at("theta_sha256") == result.at("theta_sha256"));
  return seconds;
}

}  // namespace

TEST_CASE("every signal to every rank and to the launcher ends the run cleanly") {
  double slowest = 0.0;
  for (const int target : {0, 1, kLauncher})
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP}) {
      INFO(strsignal(signal) << " to " << name_of(target));
      const double seconds = end_by(signal, target);
      std::printf("%-22s %-15s %.2f s\n", strsignal(signal), name_of(target).c_str(), seconds);
      std::fflush(stdout);
      CHECK(seconds < kMostSeconds);
      slowest = std::max(slowest, seconds);
    }
  std::printf("preset %s, slowest %.2f s\n", preset().c_str(), slowest);
}
