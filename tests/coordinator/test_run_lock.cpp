// The lock of a run directory: who is refused, who waits, who takes over. Processes and hosts are made up,
// and time passes only where the lock waits.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include "common/base/error.h"
#include "common/base/isolated.h"
#include "coordinator/run_lock.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

using namespace outerloop;
using coordinator::LockOwner;
using coordinator::LockSurroundings;
using coordinator::RunLock;
namespace fs = std::filesystem;

namespace {

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// Hosts with processes, a clock, and whether the file system has flock.
struct World {
  double now = 0.0;
  bool has_flock = true;
  bool flock_outlives = false;  ///< as on NFS: whoever asks hears that it is taken
  std::set<std::int64_t> living;
  std::vector<std::string> said;
  bool signalled = false;
  std::function<void()> each_pause = [] {};

  /// A process of `host`; its boot id and namespace go by the host's name, unless given.
  LockSurroundings process(std::int64_t number, const std::string& host, const std::string& space = "space") {
    living.insert(number);
    LockOwner self;
    self.host = host;
    self.process = number;
    self.boot = "boot of " + host;
    self.space = space;
    self.token = "token of " + std::to_string(number);
    return {self,
            [this] { return now; },
            [this](double seconds) {
              now += seconds;
              each_pause();
            },
            [this](int descriptor) {
              if (!has_flock) return ENOLCK;
              if (flock_outlives) return EWOULDBLOCK;
              return ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
            },
            [this](const LockOwner& owner) { return living.count(owner.process) > 0; },
            [this](const std::string& line) { said.push_back(line); },
            [this] { return signalled; }};
  }
};

/// What the second start is told; "" where it is let in.
std::string refusal(const std::string& folder, const LockSurroundings& surroundings) {
  try {
    RunLock lock(folder, surroundings);
  } catch (const InputError& error) {
    CHECK(error.exit_code() == 2);
    return error.what();
  }
  return "";
}

/// A lock that a process has left behind: it was killed.
void leave_behind(World& world, const std::string& folder, const LockSurroundings& surroundings) {
  auto lock = std::make_unique<RunLock>(folder, surroundings);
  const std::string text = text_of(folder + "/lock");
  lock.reset();
  std::ofstream(folder + "/lock") << text;
  world.living.erase(surroundings.self.process);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the second start on one host is refused at once, by the name of the first") {
  for (const bool has_flock : {true, false}) {
    const tests::TemporaryFolder folder;
    World world;
    world.has_flock = has_flock;
    {
      RunLock first(folder.path(), world.process(11, "node1"));
      const std::string line = refusal(folder.path(), world.process(12, "node1"));
      CHECK(contains(line, "process 11 on node1 has this run"));
      CHECK(line.find('\n') == std::string::npos);
      CHECK(world.now < 2.0);
      const auto owner = RunLock::known_owner(folder.path(), world.process(12, "node1"));
      REQUIRE(owner);
      CHECK(owner->process == 11);
      // The loser has left everything as it was.
      LockOwner present;
      CHECK(first.state(present) == RunLock::State::mine);
    }
    CHECK(fs::is_empty(folder.path()));
    CHECK(refusal(folder.path(), world.process(12, "node1")).empty());
    CHECK(world.said.empty());
  }
}

TEST_CASE("a lock left by a dead process of this host is no obstacle") {
  for (const bool has_flock : {true, false}) {
    const tests::TemporaryFolder folder;
    World world;
    world.has_flock = has_flock;
    leave_behind(world, folder.path(), world.process(11, "node1"));
    CHECK_FALSE(RunLock::known_owner(folder.path(), world.process(12, "node1")));
    RunLock second(folder.path(), world.process(12, "node1"));
    CHECK(world.now < 2.0);
    CHECK(contains(text_of(folder / "lock"), "token of 12"));
    CHECK(contains(refusal(folder.path(), world.process(13, "node1")), "process 12 on node1"));
  }
}

TEST_CASE("a lock of another host is taken over once its counter has stood still for 20 s") {
  for (const bool has_flock : {true, false})
    for (const bool outlives : {true, false}) {
      const tests::TemporaryFolder folder;
      World world;
      world.has_flock = has_flock;
      leave_behind(world, folder.path(), world.process(11, "node1"));
      world.flock_outlives = outlives;
      RunLock second(folder.path(), world.process(12, "node2"));
      CHECK(world.now >= 20.0);
      CHECK(world.now < 25.0);
      REQUIRE(world.said.size() == 2);
      CHECK(contains(world.said[0], "process 11 on node1 has this run, and is not visible from here"));
      CHECK(contains(world.said[1], "has shown no sign of life for 20 s; this process takes over its run"));
      LockOwner present;
      CHECK(second.state(present) == RunLock::State::mine);
    }
}

TEST_CASE("a living process of another host is noticed by its counter, also without flock") {
  for (const bool has_flock : {true, false}) {
    const tests::TemporaryFolder folder;
    World world;
    world.has_flock = has_flock;
    RunLock first(folder.path(), world.process(11, "node1"));
    double next = RunLock::kBeatSeconds;
    world.each_pause = [&] {
      if (world.now < next) return;
      first.beat();
      next += RunLock::kBeatSeconds;
    };
    CHECK(contains(refusal(folder.path(), world.process(12, "node2")), "process 11 on node1 has this run"));
    CHECK(world.now <= 6.0);
    LockOwner present;
    CHECK(first.state(present) == RunLock::State::mine);
  }
}

TEST_CASE("of two containers on one host flock tells who lives") {
  const tests::TemporaryFolder folder;
  World world;
  {
    RunLock first(folder.path(), world.process(1, "node1", "one"));
    CHECK(contains(refusal(folder.path(), world.process(1, "node1", "two")), "process 1 on node1"));
    CHECK(world.now < 2.0);
  }
  leave_behind(world, folder.path(), world.process(1, "node1", "one"));
  CHECK(refusal(folder.path(), world.process(7, "node1", "two")).empty());
  CHECK(world.now < 2.0);
}

TEST_CASE("an owner that was stopped notices that its run was taken over, and leaves the new lock alone") {
  for (const bool has_flock : {true, false}) {
    const tests::TemporaryFolder folder;
    World world;
    world.has_flock = has_flock;
    auto first = std::make_unique<RunLock>(folder.path(), world.process(11, "node1"));
    world.flock_outlives = has_flock;
    RunLock second(folder.path(), world.process(12, "node2"));
    const std::string before = text_of(folder / "lock");
    first->beat();
    CHECK(text_of(folder / "lock") == before);
    LockOwner owner;
    CHECK(first->state(owner) == RunLock::State::taken);
    CHECK(owner.name() == "process 12 on node2");
    first.reset();
    CHECK(text_of(folder / "lock") == before);
  }
}

TEST_CASE("of many that start at once, one is let in") {
  // Each pause of one lets the next begin: they meet in the middle of taking the lock.
  for (const bool has_flock : {true, false})
    for (const bool left : {true, false}) {
      const tests::TemporaryFolder folder;
      World world;
      world.has_flock = has_flock;
      if (left) leave_behind(world, folder.path(), world.process(1, "node1"));
      std::vector<std::unique_ptr<RunLock>> locks;
      int started = 0, refused = 0;
      const std::function<void()> start = [&] {
        if (started == 8) return;
        const int number = 100 + started++;
        try {
          auto lock = std::make_unique<RunLock>(folder.path(), world.process(number, "node1"));
          locks.push_back(std::move(lock));
        } catch (const InputError&) {
          ++refused;
        }
      };
      world.each_pause = start;
      while (started < 8) start();
      INFO(has_flock << left << locks.size());
      int owners = 0;
      for (const auto& lock : locks) {
        LockOwner owner;
        owners += lock->state(owner) == RunLock::State::mine ? 1 : 0;
      }
      CHECK(owners == 1);
      CHECK(locks.size() == 1);
      CHECK(refused == 7);
    }
}

TEST_CASE("a lock that is empty or nonsense: its maker died, or writes it in a moment") {
  for (const char* content : {"", "nonsense", "{}", "[1]", "{\"host\": 3, \"process\": \"x\"}"}) {
    const tests::TemporaryFolder folder;
    World world;
    std::ofstream(folder / "lock") << content;
    CHECK(refusal(folder.path(), world.process(12, "node1")).empty());
    world.has_flock = false;
    std::ofstream(folder / "lock") << content;
    CHECK(refusal(folder.path(), world.process(12, "node1")).empty());
  }
  const tests::TemporaryFolder folder;
  World world;
  fs::create_directory(folder / "lock");
  CHECK(contains(refusal(folder.path(), world.process(12, "node1")), "cannot be opened"));
}

TEST_CASE("a lock that was deleted is made anew, unless another was quicker") {
  const tests::TemporaryFolder folder;
  World world;
  RunLock first(folder.path(), world.process(11, "node1"));
  LockOwner owner;
  fs::remove(folder / "lock");
  CHECK(first.state(owner) == RunLock::State::missing);
  CHECK(first.renew());
  CHECK(first.state(owner) == RunLock::State::mine);
  fs::remove(folder / "lock");
  RunLock second(folder.path(), world.process(12, "node1"));
  CHECK_FALSE(first.renew());
  CHECK(first.state(owner) == RunLock::State::taken);
}

TEST_CASE("a lock that is a dangling symlink or a pipe is refused at once, and is no owner's during a run") {
  const tests::TemporaryFolder folder;
  World world;
  const std::string path = folder / "lock";
  SECTION("a symlink without a target") {
    fs::create_symlink("/nonexistent/target", path);
    CHECK(contains(refusal(folder.path(), world.process(11, "node1")), "a symlink that leads nowhere"));
  }
  SECTION("a pipe") {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    CHECK(contains(refusal(folder.path(), world.process(11, "node1")), "is no regular file"));
  }
  CHECK(world.now == 0.0);
  CHECK(world.said.empty());
  CHECK(fs::is_other(fs::symlink_status(path)) != fs::is_symlink(fs::symlink_status(path)));
}

TEST_CASE("a signal ends the wait for a sign of life at once") {
  const tests::TemporaryFolder folder;
  World world;
  leave_behind(world, folder.path(), world.process(11, "node1"));
  const double before = world.now;
  world.each_pause = [&] { world.signalled = world.now - before > 3.0; };
  std::string line;
  try {
    RunLock(folder.path(), world.process(12, "node2"));
  } catch (const Error& error) {
    line = error.what();
  }
  CHECK(contains(line, "a signal has ended the wait"));
  CHECK(world.now - before < 5.0);
  CHECK(contains(text_of(folder / "lock"), "token of 11"));
}

TEST_CASE("a lock that cannot be read for a moment is neither missing nor another's") {
  const tests::TemporaryFolder folder;
  World world;
  RunLock lock(folder.path(), world.process(11, "node1"));
  fs::rename(folder / "lock", folder / "aside");
  fs::create_symlink("lock", folder / "lock");  // leads to itself: ELOOP
  LockOwner owner;
  int code = 0;
  CHECK(lock.state(owner, &code) == RunLock::State::unreadable);
  CHECK(code == ELOOP);
  fs::remove(folder / "lock");
  CHECK(lock.state(owner) == RunLock::State::missing);
  fs::rename(folder / "aside", folder / "lock");
  CHECK(lock.state(owner) == RunLock::State::mine);
}

TEST_CASE("this process's lock names it, and a child that reads files does not keep it") {
  const tests::TemporaryFolder folder;
  coordinator::HeldLock held(folder.path());
  const auto owner = RunLock::known_owner(folder.path(), coordinator::real_surroundings());
  REQUIRE(owner);
  CHECK(owner->process == getpid());
  CHECK(owner->locked);
  const auto result = base::run_isolated(
      [] {
        std::uint8_t open = 0;
        for (int number = 3; number < 256; ++number) open += fcntl(number, F_GETFD) >= 0 ? 1 : 0;
        return std::vector<std::uint8_t>{open};
      },
      16);
  REQUIRE(result.bytes.size() == 1);
  CHECK(result.bytes[0] <= 2);  // its pipe, and where its messages go
  CHECK(contains(refusal(folder.path(), coordinator::real_surroundings()),
                 "process " + std::to_string(getpid()) + " on "));
}
