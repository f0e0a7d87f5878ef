// The run directory: what is refused, what is kept, what a resume reads.
#include <filesystem>
#include <fstream>

#include "common/base/error.h"
#include "coordinator/run_directory.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

using namespace outerloop;
using coordinator::RunDirectory;
namespace fs = std::filesystem;

namespace {

store::Checkpoint checkpoint(std::int64_t update) {
  store::Checkpoint c;
  c.rule.rule = "neuron_local";
  c.rule.layout = rule::Layout({{"toy", {2}, "one", rule::Initializer::constant(0.0), false, 0}});
  c.rule.theta = {static_cast<double>(update), 0.5};
  c.rule.update = update;
  c.adam_m = {0.0, 0.0};
  c.adam_v = {0.0, 0.0};
  c.history["update"] = {};
  return c;
}

}  // namespace

TEST_CASE("a run that could not start leaves no directory, one that has a checkpoint stays") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  RunDirectory::create(path, "updates: 3\n");
  RunDirectory::remove_unstarted(path);
  CHECK_FALSE(fs::exists(path));
  RunDirectory::create(path, "updates: 3\n");
  RunDirectory(path, 2, 1, 0).on_checkpoint(checkpoint(0));
  RunDirectory::remove_unstarted(path);
  CHECK(RunDirectory::read_config(path) == "updates: 3\n");
  CHECK(fs::exists(path + "/checkpoints/000000000.h5"));
}

TEST_CASE("a run directory is made once, and a resume finds configuration and newest checkpoint") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  CHECK_THROWS_AS(RunDirectory::read_config(path), InputError);
  RunDirectory::create(path, "updates: 3\n");
  CHECK_THROWS_AS(RunDirectory::create(path, "updates: 3\n"), InputError);
  CHECK(RunDirectory::read_config(path) == "updates: 3\n");
  store::Checkpoint found;
  std::vector<std::string> passed_over;
  CHECK_FALSE(RunDirectory::read_latest(path, found, passed_over));
  {
    RunDirectory run(path, 2, 1, 0);
    for (const int update : {0, 1, 2}) run.on_checkpoint(checkpoint(update));
    CHECK(run.last_checkpoint_written());
    CHECK(run.theta_sha256().size() == 64);
  }
  REQUIRE(RunDirectory::read_latest(path, found, passed_over));
  CHECK(found.rule.update == 2);
  CHECK(passed_over.empty());
  CHECK(fs::exists(path + "/rule.h5"));
  CHECK_FALSE(fs::exists(path + "/checkpoints/000000000.h5"));  // keep = 2
}

TEST_CASE("a resume removes what a start that was killed left half-written, and nothing else") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  RunDirectory::create(path, "updates: 3\n");
  RunDirectory(path, 2, 1, 0).on_checkpoint(checkpoint(0));
  for (const char* name : {"/rule.h5.123.0.tmp", "/metrics.jsonl.123.0.tmp", "/notes.txt"})
    std::ofstream(path + name) << "x";
  const RunDirectory resumed(path, 2, 1, 0);
  CHECK_FALSE(fs::exists(path + "/rule.h5.123.0.tmp"));
  CHECK_FALSE(fs::exists(path + "/metrics.jsonl.123.0.tmp"));
  for (const char* name : {"/notes.txt", "/rule.h5", "/config.textproto"}) CHECK(fs::exists(path + name));
}

TEST_CASE("a run keeps snapshots of θ, and a resume removes those that it has not reached") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  RunDirectory::create(path, "updates: 3\n");
  {
    RunDirectory run(path, 2, 1, 0);
    for (const int update : {1, 2, 10}) run.on_snapshot(checkpoint(update).rule);
  }
  CHECK(store::read_rule(path + "/snapshots/000000002.h5").update == 2);
  std::ofstream(path + "/snapshots/000000009.h5.12.0.tmp") << "x";
  std::ofstream(path + "/snapshots/mine.h5") << "x";
  const RunDirectory resumed(path, 2, 1, 2);
  for (const char* name : {"000000001.h5", "000000002.h5", "mine.h5"})
    CHECK(fs::exists(path + "/snapshots/" + name));
  for (const char* name : {"000000010.h5", "000000009.h5.12.0.tmp"})
    CHECK_FALSE(fs::exists(path + "/snapshots/" + name));
}

TEST_CASE("a snapshot that cannot be written is warned of, and the run goes on") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  RunDirectory::create(path, "updates: 3\n");
  std::ofstream(path + "/snapshots") << "in the way";
  RunDirectory run(path, 2, 1, 0);
  CHECK_NOTHROW(run.on_snapshot(checkpoint(1).rule));
  std::string line;
  std::getline(std::ifstream(path + "/log.txt") >> std::ws, line);
  CHECK(line.find("θ of update 1 is not kept, training goes on: ") != std::string::npos);
}

TEST_CASE("a disk that refuses is warned of, and the run goes on") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  RunDirectory::create(path, "updates: 3\n");
  RunDirectory run(path, 2, 1, 0);
  fs::remove_all(path + "/checkpoints");
  std::ofstream(path + "/checkpoints") << "a file where a folder should be";
  CHECK_NOTHROW(run.on_checkpoint(checkpoint(1)));
  CHECK_FALSE(run.last_checkpoint_written());
  std::ifstream log(path + "/log.txt");
  std::string line;
  std::getline(log, line);
  CHECK(line.find("was not written") != std::string::npos);

  // Tried again every half a minute, by whatever clock.
  run.retry(100.0);
  fs::remove(path + "/checkpoints");
  run.retry(129.0);
  CHECK_FALSE(run.last_checkpoint_written());
  run.retry(130.5);
  CHECK(run.last_checkpoint_written());
  CHECK(fs::exists(path + "/checkpoints/000000001.h5"));
  CHECK_NOTHROW(run.retry(1000.0));
}
