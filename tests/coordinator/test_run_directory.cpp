// The run directory: what is refused, what is kept, what a resume reads.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "common/base/error.h"
#include "coordinator/run_directory.h"
#include "tests/catch.h"
#include "tests/data/as_nobody.h"
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

/// A new run in `path`, with its lock.
struct LockedRun {
  explicit LockedRun(const std::string& path) : lock(prepared(path)), run(path, 2, 1, 0, &lock.lock()) {}

  coordinator::HeldLock lock;
  RunDirectory run;

 private:
  static const std::string& prepared(const std::string& path) {
    RunDirectory::create(path, "updates: 3\n");
    return path;
  }
};

std::string read_text(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::int64_t lines_of_log(const std::string& path) {
  const std::string text = read_text(path + "/log.txt");
  return std::count(text.begin(), text.end(), '\n');
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

TEST_CASE("a snapshot that cannot be written is warned of, and the run continues") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  RunDirectory::create(path, "updates: 3\n");
  std::ofstream(path + "/snapshots") << "in the way";
  RunDirectory run(path, 2, 1, 0);
  CHECK_NOTHROW(run.on_snapshot(checkpoint(1).rule));
  std::string line;
  std::getline(std::ifstream(path + "/log.txt") >> std::ws, line);
  CHECK(line.find("θ of update 1 is not kept, training continues: ") != std::string::npos);
}

TEST_CASE("a disk that refuses is warned of, and the run continues") {
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

TEST_CASE("a run directory that refuses access for a moment is warned of once, and written later") {
  const tests::TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms::all);
  const tests::AsNobody unprivileged;
  const std::string path = folder / "run";
  LockedRun locked(path);
  RunDirectory& run = locked.run;
  run.on_checkpoint(checkpoint(1));
  fs::permissions(path, fs::perms::none);
  for (const int update : {2, 3}) CHECK_NOTHROW(run.on_checkpoint(checkpoint(update)));
  CHECK_FALSE(run.last_checkpoint_written());
  CHECK_NOTHROW(run.retry(100.0));
  std::string line;
  try {
    run.write_result({{"stop_reason", "updates"}});
  } catch (const Error& error) {
    CHECK(error.exit_code() == 1);
    line = error.what();
  }
  CHECK(line.find("Permission denied") != std::string::npos);

  fs::permissions(path, fs::perms::owner_all);
  run.retry(110.0);
  CHECK_FALSE(run.last_checkpoint_written());
  run.retry(130.5);
  CHECK(run.last_checkpoint_written());
  CHECK(store::read_rule(path + "/rule.h5").update == 3);
  CHECK(fs::exists(path + "/checkpoints/000000003.h5"));
  CHECK(lines_of_log(path) == 1);  // "is now written"; the refusal could be said only to stderr
  CHECK_NOTHROW(run.write_result({{"stop_reason", "updates"}}));
}

TEST_CASE("a run knows which rule.h5 is on the disk, and whether there is a checkpoint") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  RunDirectory::create(path, "updates: 3\n");
  {
    RunDirectory run(path, 2, 1, 0);
    CHECK_FALSE(run.rule_update());
    CHECK_FALSE(run.has_checkpoint());
    run.on_checkpoint(checkpoint(1));
    CHECK(run.rule_update() == 1);
    CHECK(run.has_checkpoint());
  }
  RunDirectory resumed(path, 2, 1, 1);
  CHECK(resumed.rule_update() == 1);  // of the earlier start
  fs::remove(path + "/rule.h5");
  fs::create_directories(path + "/rule.h5/x");
  resumed.on_checkpoint(checkpoint(2));
  CHECK_FALSE(resumed.rule_update());
  CHECK(resumed.has_checkpoint());
}

TEST_CASE("logs that a resume cannot open are warned of, and opened once the disk lets them be") {
  const tests::TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms::all);
  const tests::AsNobody unprivileged;
  const std::string path = folder / "run";
  RunDirectory::create(path, "updates: 3\n");
  std::ofstream(path + "/log.txt") << "";
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_exec);
  RunDirectory run(path, 2, 1, 0);
  CHECK(read_text(path + "/log.txt").find("metrics are not written, training continues: ") !=
        std::string::npos);
  coordinator::UpdateRecord record;
  record.update = 1;
  CHECK_NOTHROW(run.on_update(record));
  CHECK(lines_of_log(path) == 1);

  fs::permissions(path, fs::perms::owner_all);
  record.update = 2;
  run.on_update(record);
  CHECK(read_text(path + "/metrics.jsonl").find("\"update\":2") != std::string::npos);
  const auto names = names_in(path);
  CHECK(std::count_if(names.begin(), names.end(),
                      [](const auto& name) { return name.find("events.out") == 0; }) == 1);
}

TEST_CASE("what file systems put into a folder, and what an earlier start left, does not make it used") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  fs::create_directories(path + "/lost+found");
  for (const char* name : {"lock", "join.json", ".nfs000000000001", ".DS_Store", "._x", ".fuse_hidden0001"})
    std::ofstream(path + "/" + name) << "x";
  CHECK_NOTHROW(RunDirectory::refuse_used(path));
  RunDirectory::create(path, "updates: 3\n");
  CHECK_THROWS_AS(RunDirectory::refuse_used(path), InputError);
  RunDirectory::remove_unstarted(path);
  CHECK_NOTHROW(RunDirectory::create(path, "updates: 3\n"));

  const std::string other = folder / "other";
  fs::create_directory(other);
  std::ofstream(other + "/notes.txt") << "x";
  CHECK_THROWS_AS(RunDirectory::create(other, "updates: 3\n"), InputError);
  CHECK(read_text(other + "/notes.txt") == "x");
  CHECK_THROWS_AS(RunDirectory::create(other + "/notes.txt", "updates: 3\n"), InputError);
}

TEST_CASE("a start that fails before its first checkpoint takes away all that it wrote") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  fs::create_directory(path);
  auto lock = std::make_unique<coordinator::HeldLock>(path);
  RunDirectory::create(path, "updates: 3\n");
  {
    RunDirectory run(path, 2, 1, 0, &lock->lock());
    run.write_start({{"version", "1"}}, {{"stop_reason", "running"}});
    run.on_warning("something");
    CHECK(fs::exists(path + "/lock"));
  }
  std::ofstream(path + "/notes.txt") << "x";
  RunDirectory::remove_unstarted(path, &lock->lock());
  CHECK(names_in(path) == std::vector<std::string>{"notes.txt"});
  fs::remove(path + "/notes.txt");
  lock = std::make_unique<coordinator::HeldLock>(path);
  RunDirectory::create(path, "updates: 3\n");
  RunDirectory::remove_unstarted(path, &lock->lock());
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE("where `latest` cannot be moved everything else is written, and it is said once") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  RunDirectory::create(path, "updates: 3\n");
  fs::create_directories(path + "/checkpoints/latest/x");
  RunDirectory run(path, 2, 1, 0);
  for (const int update : {0, 1, 2, 3}) {
    run.on_checkpoint(checkpoint(update));
    CHECK(run.last_checkpoint_written());
    CHECK(store::read_rule(path + "/rule.h5").update == update);
  }
  CHECK_FALSE(fs::exists(path + "/checkpoints/000000001.h5"));
  CHECK(lines_of_log(path) == 1);
}

TEST_CASE("a rule.h5 that cannot be written is named, and is no reason to write the checkpoint again") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  RunDirectory::create(path, "updates: 3\n");
  fs::create_directories(path + "/rule.h5/x");
  RunDirectory run(path, 2, 1, 0);
  run.on_checkpoint(checkpoint(1));
  CHECK(fs::exists(path + "/checkpoints/000000001.h5"));
  CHECK_FALSE(run.last_checkpoint_written());
  CHECK(read_text(path + "/log.txt").find("rule.h5 of update 1 was not written") != std::string::npos);
  run.retry(100.0);
  fs::remove_all(path + "/rule.h5");
  run.retry(130.5);
  CHECK(run.last_checkpoint_written());
  CHECK(store::read_rule(path + "/rule.h5").update == 1);
}

TEST_CASE("a directory that is deleted in mid-run is written anew, with one warning, and can be resumed") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  fs::create_directory(path);
  coordinator::HeldLock lock(path);
  RunDirectory::create(path, "updates: 3\n");
  RunDirectory run(path, 2, 1, 0, &lock.lock());
  run.write_start({{"version", "1"}}, {{"stop_reason", "running"}});
  run.on_checkpoint(checkpoint(1));
  fs::remove_all(path);
  SECTION("at the next checkpoint") { run.on_checkpoint(checkpoint(2)); }
  SECTION("within seconds, as far as it is known") {
    run.retry(0.0);
    CHECK(RunDirectory::read_config(path) == "updates: 3\n");
    CHECK(read_text(path + "/result.json").find("running") != std::string::npos);
    run.on_checkpoint(checkpoint(2));
  }
  run.write_result({{"stop_reason", "updates"}});
  CHECK(lines_of_log(path) == 1);
  CHECK(RunDirectory::read_config(path) == "updates: 3\n");
  store::Checkpoint found;
  std::vector<std::string> passed_over;
  REQUIRE(RunDirectory::read_latest(path, found, passed_over));
  CHECK(found.rule.update == 2);
  for (const char* name : {"/environment.json", "/result.json", "/rule.h5", "/metrics.jsonl", "/lock"})
    CHECK(fs::exists(path + name));
  CHECK(read_text(path + "/metrics.jsonl").find("\"checkpoint\"") != std::string::npos);
}

TEST_CASE("a run that another process has taken over is not written to any more") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run";
  LockedRun locked(path);
  RunDirectory& run = locked.run;
  run.on_checkpoint(checkpoint(1));
  const auto refused = [&](const std::string& part) {
    std::string line;
    try {
      run.on_checkpoint(checkpoint(2));
    } catch (const Error& error) {
      line = error.what();
    }
    INFO(line);
    CHECK(line.find(part) != std::string::npos);
    CHECK_FALSE(fs::exists(path + "/checkpoints/000000002.h5"));
    CHECK_THROWS_AS(run.write_result({{"stop_reason", "updates"}}), Error);
    CHECK_THROWS_AS(run.retry(1000.0), Error);
  };
  SECTION("its lock names the other") {
    fs::remove(path + "/lock");
    std::ofstream(path + "/lock") << R"({"host":"node7","process":42,"token":"other"})";
    refused("process 42 on node7 has taken over this run");
    CHECK(fs::exists(path + "/lock"));
  }
  SECTION("the other has come and gone") {
    fs::remove(path + "/lock");
    store::CheckpointFolder(path + "/checkpoints").write(checkpoint(9), 2);
    refused("another process has continued this run");
  }
  SECTION("nobody has, only the lock is gone: it is made anew") {
    fs::remove(path + "/lock");
    run.on_checkpoint(checkpoint(2));
    CHECK(fs::exists(path + "/checkpoints/000000002.h5"));
    CHECK(fs::exists(path + "/lock"));
  }
}
