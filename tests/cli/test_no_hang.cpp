// Ranks that stand still, and unusual numbers of ranks: every run comes to an end.
#include "tests/catch.h"
#include "tests/cli/process.h"

using namespace outerloop::tests;

TEST_CASE("one rank, more ranks than streams, more streams than ranks") {
  const struct {
    int ranks, streams, batch;
  } cases[] = {{1, 1, 1}, {1, 9, 4}, {5, 2, 2}, {2, 7, 4}, {3, 2, 4}};
  for (const auto& c : cases) {
    const TemporaryFolder folder;
    const std::string run = folder / "run";
    INFO(c.ranks << " ranks, " << c.streams << " streams");
    Process process(
        job(run, c.ranks,
            {"updates=6", "streams=" + std::to_string(c.streams), "batch=" + std::to_string(c.batch)}),
        folder / "out", folder / "err");
    REQUIRE(process.wait(100.0));
    INFO(read_text(folder / "err"));
    const auto result = read_json(run + "/result.json");
    CHECK(result.at("stop_reason") == "updates");
    CHECK(result.at("gradients") == 6 * c.batch);
    CHECK(result.at("workers_lost") == 0);
  }
}

TEST_CASE("a worker that stands still is lost after its deadline, and the others go on to the end") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  Process process(job(run, 3, {"updates=1000000", "seconds=8", "deadline_seconds=3"}), folder / "out",
                  folder / "err");
  const pid_t stopped = training_rank(run, 2, process);
  REQUIRE(kill(stopped, SIGSTOP) == 0);
  const bool released = comes_true(60.0, [&] { return has_result(run); });
  kill(stopped, SIGKILL);  // or mpirun would wait for it
  REQUIRE(released);
  REQUIRE(process.wait(60.0));
  const std::string err = read_text(folder / "err");
  INFO(err);
  CHECK(err.find("worker 2 on ") != std::string::npos);
  CHECK(err.find("silent for 3 s") != std::string::npos);
  const auto result = read_json(run + "/result.json");
  CHECK(result.at("stop_reason") == "seconds");
  CHECK(result.at("workers_lost") == 1);
}

TEST_CASE("without rank 0 the workers say so after their deadline, and the job ends") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  Process process(job(run, 3, {"updates=1000000", "deadline_seconds=3"}), folder / "out", folder / "err");
  const pid_t stopped = training_rank(run, 0, process);
  REQUIRE(kill(stopped, SIGSTOP) == 0);
  const double start = seconds_now();
  const bool ended = process.wait(60.0);
  kill(stopped, SIGKILL);
  REQUIRE(ended);
  CHECK(seconds_now() - start <
        15.0);  // 8 s where cores are free: mpirun alone would wait for rank 0 for a minute
  const std::string err = read_text(folder / "err");
  INFO(err);
  CHECK(err.find("the coordinator has not answered for 3") != std::string::npos);
  // What was written before is still there to go on from.
  CHECK(run_alone("train --resume --run-dir " + run + " --set updates=8").exit_code == 0);
}

TEST_CASE("when rank 0 is killed its workers on the same host end at once, whatever their deadline") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  Process process(job(run, 3, {"updates=1000000", "deadline_seconds=600"}), folder / "out", folder / "err");
  const pid_t killed = training_rank(run, 0, process);
  REQUIRE(kill(killed, SIGKILL) == 0);
  const bool ended = process.wait(100.0);  // mpirun gives the others time to end
  INFO(read_text(folder / "err"));
  REQUIRE(ended);
  // Open MPI 5 with ULFM may say it first.
  const std::string err = read_text(folder / "err");
  CHECK(occurrences(err, "the coordinator's process has ended") + occurrences(err, "MPI_ERR_PROC_FAILED") >=
        1);
  CHECK(process_of_rank(run, 1) < 0);
  CHECK(process_of_rank(run, 2) < 0);
}

TEST_CASE("a rank that dies during the start ends the job within seconds, with a line that says which") {
  std::string err;
  for (int attempt = 0; attempt < 10 && err.find("during the start") == std::string::npos; ++attempt) {
    const TemporaryFolder folder;
    const std::string run = folder / "run";
    Process process(job(run, 3, {"updates=1000000", "tasks.cache_directory=" + (folder / "cache")}),
                    folder / "out", folder / "err");
    REQUIRE(comes_true(60.0, [&] { return std::filesystem::exists(run + "/config.textproto"); }));
    const pid_t killed = process_of_rank(run, 1);
    REQUIRE(killed > 0);
    REQUIRE(kill(killed, SIGKILL) == 0);
    const auto said = [&] { return occurrences(read_text(folder / "err"), "during the start") >= 1; };
    comes_true(30.0, [&] { return said() || lines_of_metrics(run) > 0; });
    if (!said()) process.send(SIGTERM);
    REQUIRE(process.wait(60.0));
    err = read_text(folder / "err");
  }
  INFO(err);
  CHECK(err.find("rank 1 has ended during the start; the job ends") != std::string::npos);
}

TEST_CASE("truncations longer than the deadline lose nobody, and a signal need not wait for their end") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  // A truncation of hundreds of inner steps takes 3 s on an idle core.
  Process process(job(run, 2,
                      {"updates=1000000", "streams=1", "batch=1", "deadline_seconds=2",
                       "unroll.min_steps=300", "unroll.max_steps=300", "tasks.min_inner_steps=300",
                       "tasks.max_inner_steps=300", "tasks.minibatch=600", "evaluation.every_updates=0"}),
                  folder / "out", folder / "err");
  REQUIRE(comes_true(300.0, [&] { return lines_of_metrics(run) >= 1 || process.ended(); }));
  process.send(SIGTERM);
  const double start = seconds_now();
  const bool ended = process.wait(60.0);
  INFO(read_text(folder / "err") << read_text(folder / "out"));
  REQUIRE(ended);
  CHECK(seconds_now() - start < 30.0);
  const auto result = read_json(run + "/result.json");
  CHECK(result.at("stop_reason") == "signal");
  CHECK(result.at("workers_lost") == 0);
}

TEST_CASE("a rank that never gets through the start ends the job with a line that says who waits for what") {
  // A start takes tenths of a second: the signal may reach the rank before it has the configuration, whose
  // deadline this is about, or when it is through. So try anew, a little later each time.
  std::string err;
  for (int attempt = 0; attempt < 10 && err.find("has been waiting") == std::string::npos; ++attempt) {
    const TemporaryFolder folder;
    const std::string run = folder / "run";
    // Without a cache the fonts are to be rendered, so the start takes longer.
    Process process(
        job(run, 3, {"updates=1000000", "watchdog_seconds=3", "tasks.cache_directory=" + (folder / "cache")}),
        folder / "out", folder / "err");
    // The run directory is there: rank 0 has read the configuration, and the datasets and engines are next.
    REQUIRE(comes_true(60.0, [&] { return std::filesystem::exists(run + "/config.textproto"); }));
    const pid_t stopped = process_of_rank(run, 1);
    REQUIRE(stopped > 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(20 * attempt * attempt));
    REQUIRE(kill(stopped, SIGSTOP) == 0);
    const auto said = [&] { return occurrences(read_text(folder / "err"), "the job ends") >= 1; };
    comes_true(20.0, [&] { return said() || lines_of_metrics(run) > 0; });
    // mpirun waits for a rank that is stopped; a rank that is stuck ends by its own watchdog, as this one
    // does now.
    kill(stopped, said() ? SIGCONT : SIGKILL);
    if (!said()) process.send(SIGTERM);
    REQUIRE(process.wait(60.0));
    err = read_text(folder / "err");
  }
  INFO(err);
  CHECK(err.find(" has been waiting for ") != std::string::npos);
  CHECK(err.find("longer than watchdog_seconds = 3; the job ends") != std::string::npos);
}
