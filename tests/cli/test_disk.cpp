// A full disk stops writing, not training. A limit on the size of files stands in for it: writes fail the
// same way, and the limit can be lifted from outside while the run continues.
#include <sys/resource.h>

#include "tests/catch.h"
#include "tests/cli/process.h"

using namespace outerloop::tests;

namespace {

/// Once the job trains: no file of rank 0 grows beyond `bytes` from now on. MPI's own files are there by
/// then.
void limit_files(Process& process, const std::string& run, rlim_t bytes) {
  REQUIRE(comes_true(90.0, [&] { return lines_of_metrics(run) >= 2 || process.ended(); }));
  const pid_t in_job = process_of_rank(run, 0);
  const rlimit limit{bytes, RLIM_INFINITY};
  REQUIRE(prlimit(in_job > 0 ? in_job : process.pid(), RLIMIT_FSIZE, &limit, nullptr) == 0);
}

std::vector<std::string> job(const std::string& run, int ranks) {
  std::vector<std::string> arguments = {OUTERLOOP_EXECUTABLE, "train", "smoke",    "--run-dir", run, "--set",
                                        "updates=1000000",    "--set", "seconds=5"};
  if (ranks > 1) arguments.insert(arguments.begin(), {OUTERLOOP_MPIRUN, "-n", std::to_string(ranks)});
  return arguments;
}

}  // namespace

TEST_CASE("a disk that stays full: said at once, trained to the end, stop_reason disk and exit 1") {
  for (const int ranks : {1, 3}) {
    const TemporaryFolder folder;
    const std::string run = folder / "run";
    Process process(job(run, ranks), folder / "out", folder / "err");
    limit_files(process, run, 4096);
    REQUIRE(process.wait(100.0));
    const std::string err = read_text(folder / "err");
    INFO(err);
    CHECK(process.exit_code() == 1);
    CHECK(occurrences(err, "was not written, training continues") >= 1);
    CHECK(occurrences(err, "cannot be written: File too large") >= 1);
    // Said anew only where a shorter line fitted in between.
    const int said = occurrences(err, "metrics are not written, training continues");
    CHECK(said >= 1);
    CHECK(said <= 5);
    const auto result = read_json(run + "/result.json");
    CHECK(result.at("stop_reason") == "disk");
    CHECK(result.at("seconds").get<double>() >= 5.0);
    CHECK(result.at("workers_lost") == 0);
    CHECK(occurrences(read_text(folder / "out"), "To continue: outerloop train --resume") == 1);
    // The rule.h5 on the disk is an older one.
    CHECK(occurrences(read_text(folder / "out"), "/rule.h5 (of update ") == 1);
    // Once there is room, the same run goes on from its last whole checkpoint.
    const auto resumed = run_alone("train --resume --run-dir " + run + " --set seconds=0 --set updates=" +
                                   std::to_string(result.at("updates").get<std::int64_t>()));
    INFO(resumed.err);
    CHECK(resumed.exit_code == 0);
    CHECK(read_json(run + "/result.json").at("updates") == result.at("updates"));
  }
}

TEST_CASE("a disk that has room again: the run ends as if nothing had been") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  Process process(job(run, 1), folder / "out", folder / "err");
  limit_files(process, run, 4096);
  REQUIRE(
      comes_true(60.0, [&] { return occurrences(read_text(folder / "err"), "checkpoint of update") > 0; }));
  limit_files(process, run, RLIM_INFINITY);
  REQUIRE(process.wait(100.0));
  INFO(read_text(folder / "err"));
  CHECK(process.exit_code() == 0);
  const auto result = read_json(run + "/result.json");
  CHECK(result.at("stop_reason") == "seconds");
  CHECK(run_alone("inspect " + run + "/checkpoints/latest --json " + (folder / "latest.json")).exit_code ==
        0);
  CHECK(read_json(folder / "latest.json").at("theta_sha256") == result.at("theta_sha256"));
}
