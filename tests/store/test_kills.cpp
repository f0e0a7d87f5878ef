// SIGKILL at a random microsecond of a checkpoint write: there is always a checkpoint to resume from, never
// older than the last completed write.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <thread>

#include "tests/catch.h"
#include "tests/store/support.h"

using namespace outerloop;
using namespace outerloop::store;
using namespace outerloop::tests;

namespace {

using Microseconds = std::chrono::microseconds;

constexpr int kQuick = 200;
constexpr std::size_t kColumn = 40000;  // entries: a checkpoint of about a mebibyte

/// State shared by writer and killer.
struct Progress {
  std::atomic<std::int64_t> begun{0};
  std::atomic<std::int64_t> done{0};
};

class SharedProgress {
 public:
  SharedProgress() {
    void* memory = mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no shared memory");
    progress_ = new (memory) Progress;
  }
  ~SharedProgress() { munmap(progress_, sizeof(Progress)); }
  Progress& operator*() { return *progress_; }

 private:
  Progress* progress_;
};

Checkpoint checkpoint_of(std::int64_t update) {
  Checkpoint checkpoint = sample_checkpoint(update);
  for (auto& entry : checkpoint.history) entry.second.assign(kColumn, static_cast<double>(update));
  return checkpoint;
}

/// Writes checkpoints from `update` on, until it is killed.
[[noreturn]] void write_for_ever(const std::string& folder, std::int64_t update, Progress& progress) {
  CheckpointFolder checkpoints(folder);
  for (;; ++update) {
    const Checkpoint checkpoint = checkpoint_of(update);
    progress.begun = update;
    checkpoints.write(checkpoint, 3);
    progress.done = update;
  }
}

/// Waits until the writer has begun `update`; false after ten seconds.
bool begun(const Progress& progress, std::int64_t update) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (progress.begun < update) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(Microseconds(10));
  }
  return true;
}

/// The duration of one write on this machine.
Microseconds time_of_one_write() {
  const Folder folder;
  CheckpointFolder checkpoints(folder.path());
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t update = 1; update <= 3; ++update) checkpoints.write(checkpoint_of(update), 3);
  return std::chrono::duration_cast<Microseconds>(std::chrono::steady_clock::now() - start) / 3;
}

struct Tally {
  int kills = 0;
  int before_rename = 0;  ///< a .tmp was left
  int after_rename = 0;   ///< the new file existed, its write had not returned
};

/// One writer, killed `delay` after it has begun its second checkpoint. Returns the update that is found.
std::int64_t kill_one(const Folder& folder, std::int64_t from, Microseconds delay, Tally& tally) {
  SharedProgress progress;
  const pid_t writer = fork();
  if (writer == 0) write_for_ever(folder.path(), from, *progress);
  REQUIRE(writer > 0);
  const bool started = begun(*progress, from + 1);
  std::this_thread::sleep_for(delay);
  kill(writer, SIGKILL);
  int status = 0;
  REQUIRE(waitpid(writer, &status, 0) == writer);
  REQUIRE(started);
  REQUIRE(WIFSIGNALED(status));

  CheckpointFolder::Found found;
  REQUIRE(CheckpointFolder(folder.path()).read_latest(found));
  const std::int64_t update = found.checkpoint.rule.update, done = (*progress).done;
  CHECK(found.passed_over.empty());
  CHECK(update >= done);
  CHECK(update <= (*progress).begun);
  CHECK(found.checkpoint.history.at("seconds") == std::vector<double>(kColumn, static_cast<double>(update)));
  ++tally.kills;
  for (const auto& name : folder.names()) tally.before_rename += contains(name, ".tmp") ? 1 : 0;
  tally.after_rename += update > done ? 1 : 0;
  return update;
}

}  // namespace

TEST_CASE("a kill at any microsecond of a checkpoint write leaves one to go on from") {
  const char* wish = std::getenv("OUTERLOOP_KILLS");
  const int kills = wish != nullptr ? std::atoi(wish) : kQuick;
  const Microseconds write = time_of_one_write();
  std::mt19937_64 random(20190501);
  const Folder folder;
  Tally tally;
  std::int64_t update = 1;
  for (int i = 0; i < kills; ++i) {
    const Microseconds delay(
        static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(write.count() + 1)));
    INFO("kill " << i << ", " << delay.count() << " µs into a write of " << write.count() << " µs");
    update = kill_one(folder, update, delay, tally) + 1;
  }
  std::printf(
      "%d kills in a write of about %lld µs: %d left a half-written file, %d came between rename and "
      "return\n",
      tally.kills, static_cast<long long>(write.count()), tally.before_rename, tally.after_rename);
  CHECK(tally.kills == kills);
  if (kills >= kQuick) CHECK(tally.before_rename > 0);  // or nothing was tested
}
