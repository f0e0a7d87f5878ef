// SIGKILL of a whole run at random microseconds of its checkpoint writes, and --resume, again and again: it
// always goes on, and in deterministic mode ends at the bits of the unbroken run. (An asynchronous run loses
// the gradients that were on their way, so that its bits differ.)
#include <poll.h>
#include <sys/inotify.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <thread>

#include "tests/catch.h"
#include "tests/cli/process.h"

using namespace outerloop::tests;

namespace {

constexpr int kQuick = kSanitized ? 3 : 10;

/// What happens in a folder.
class FolderEvents {
 public:
  explicit FolderEvents(const std::string& folder) : file_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    if (inotify_add_watch(file_, folder.c_str(), IN_CREATE | IN_MOVED_TO) < 0)
      throw std::runtime_error(folder + " cannot be watched");
  }
  ~FolderEvents() { close(file_); }
  FolderEvents(const FolderEvents&) = delete;
  FolderEvents& operator=(const FolderEvents&) = delete;

  /// Until something happens, at most `seconds`.
  void wait(double seconds) const {
    pollfd ready{file_, POLLIN, 0};
    poll(&ready, 1, static_cast<int>(seconds * 1000.0));
  }

  /// Checkpoint writes that have begun (`.h5.…tmp` made) and ended (renamed) since the last call.
  struct Seen {
    int begun = 0;
    int ended = 0;
  };
  Seen take() {
    Seen seen;
    alignas(inotify_event) char bytes[8192];
    for (ssize_t count; (count = read(file_, bytes, sizeof bytes)) > 0;)
      for (ssize_t at = 0; at < count;) {
        const auto* event = reinterpret_cast<const inotify_event*>(bytes + at);
        const std::string name = event->len > 0 ? event->name : "";
        if ((event->mask & IN_CREATE) != 0 && name.find(".h5.") != std::string::npos) ++seen.begun;
        if ((event->mask & IN_MOVED_TO) != 0 && name != "latest") ++seen.ended;
        at += static_cast<ssize_t>(sizeof(inotify_event)) + event->len;
      }
    return seen;
  }

 private:
  int file_;
};

struct Job {
  std::string run;
  std::string mode;
  std::int64_t updates;

  std::vector<std::string> arguments(bool resume) const {
    if (resume) return {OUTERLOOP_EXECUTABLE, "train", "--resume", "--run-dir", run};
    return {OUTERLOOP_EXECUTABLE,
            "train",
            "smoke",
            "--run-dir",
            run,
            "--set",
            "mode=" + mode,
            "--set",
            "updates=" + std::to_string(updates),
            "--set",
            "checkpoint.every_updates=1",
            "--set",
            "batch=3"};
  }
};

/// Waits until the `nth` checkpoint write from now has begun; false where the process ends first.
bool wait_for_write(const std::string& folder, int nth, Process& process) {
  if (!comes_true(60.0, [&] { return std::filesystem::is_directory(folder) || process.ended(); }))
    return false;
  if (process.ended()) return false;
  FolderEvents events(folder);
  int begun = 0;
  for (const double end = seconds_now() + 60.0; seconds_now() < end;) {
    begun += events.take().begun;
    if (begun >= nth) return true;
    if (process.ended()) return false;
    events.wait(0.1);
  }
  return false;
}

std::string finish(const Job& job, const TemporaryFolder& folder, bool resume) {
  Process process(job.arguments(resume), folder / "out", folder / "err");
  REQUIRE(process.wait(600.0));
  INFO(read_text(folder / "err"));
  REQUIRE(process.exit_code() == 0);
  const auto result = read_json(job.run + "/result.json");
  CHECK(result.at("updates") == job.updates);
  return result.at("theta_sha256").get<std::string>();
}

/// Microseconds that a checkpoint write of this job takes, from its .tmp to the rename.
std::int64_t microseconds_of_write(const Job& job, const TemporaryFolder& folder) {
  Process process(job.arguments(false), folder / "out", folder / "err");
  if (!wait_for_write(job.run + "/checkpoints", 1, process)) return 2000;
  FolderEvents events(job.run + "/checkpoints");
  double begun_at = 0.0, total = 0.0;
  int writes = 0;
  for (const double end = seconds_now() + 10.0; seconds_now() < end && writes < 20 && !process.ended();) {
    const auto seen = events.take();
    if (seen.ended > 0 && begun_at > 0.0) {
      total += seconds_now() - begun_at;
      begun_at = 0.0;
      ++writes;
    }
    if (seen.begun > seen.ended) begun_at = seconds_now();
    events.wait(0.1);
  }
  process.send(SIGKILL);
  process.wait(10.0);
  return writes > 0 ? static_cast<std::int64_t>(1e6 * total / writes) : 2000;
}

void kill_again_and_again(const std::string& mode, int kills) {
  const TemporaryFolder folder;
  // A kill comes in one of the next three checkpoint writes, so that all of them fit into the run.
  const std::int64_t updates = 3 * kills + 10;
  const std::string expected = finish({folder / "whole", mode, updates}, folder, false);
  const std::int64_t write = microseconds_of_write({folder / "timed", mode, updates}, folder);

  const Job job{folder / "killed", mode, updates};
  std::mt19937_64 random(mode.size());
  int done = 0, half_written = 0;
  for (; done < kills; ++done) {
    Process process(job.arguments(done > 0), folder / "out", folder / "err");
    INFO(mode << ", kill " << done << ": " << read_text(folder / "err"));
    REQUIRE(wait_for_write(job.run + "/checkpoints", 1 + static_cast<int>(random() % 3), process));
    const auto delay = random() % static_cast<std::uint64_t>(write + write / 4 + 1);
    std::this_thread::sleep_for(std::chrono::microseconds(delay));
    process.send(SIGKILL);
    REQUIRE(process.wait(10.0));
    REQUIRE(process.exit_code() == 128 + SIGKILL);
    for (const auto& entry : std::filesystem::directory_iterator(job.run + "/checkpoints"))
      half_written += entry.path().filename().string().find(".h5.") != std::string::npos &&
                      entry.path().extension() == ".tmp";
  }
  const bool same = finish(job, folder, true) == expected;
  std::printf("%s: %d kills in writes of about %lld µs, %d of them left a half-written file; bits of θ: %s\n",
              mode.c_str(), done, static_cast<long long>(write), half_written, same ? "the same" : "others");
  std::fflush(stdout);
  if (mode == "deterministic") CHECK(same);
}

}  // namespace

TEST_CASE(
    "a run that is killed in its checkpoint writes goes on, in deterministic mode to the bits of an unbroken "
    "one") {
  const char* wish = std::getenv("OUTERLOOP_KILLS");
  const int kills = wish != nullptr ? std::atoi(wish) : kQuick;
  kill_again_and_again("deterministic", kills);
  kill_again_and_again("asynchronous", std::min(kills, 20));
}
