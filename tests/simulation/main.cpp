// test_simulation [--seeds N] [--seed S] [--first S] [--jobs N]: runs the simulation for many seeds. A
// failing seed is printed with the command that replays it. OUTERLOOP_SIMULATION_SEEDS is the same as
// --seeds.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/simulation/job.h"

namespace {

using namespace outerloop::simulation;

constexpr unsigned kMostJobs = 256;

struct Totals {
  Report sum;
  std::int64_t failed = 0;

  void add(const Report& report) {
    sum.events += report.events;
    sum.updates += report.updates;
    sum.starts += report.starts;
    sum.workers_lost += report.workers_lost;
    sum.rollbacks += report.rollbacks;
    sum.cut_writes += report.cut_writes;
    sum.evaluations += report.evaluations;
    sum.steps_back += report.steps_back;
    sum.connections_ended += report.connections_ended;
    sum.streams_ahead += report.streams_ahead;
    sum.long_works += report.long_works;
    sum.seconds += report.seconds;
  }

  void fail(const Scenario& scenario, const char* what) {
    ++failed;
    std::printf("seed %llu FAILED: %s\n  %s\n  replay: test_simulation --seed %llu\n",
                static_cast<unsigned long long>(scenario.seed), what, scenario.description().c_str(),
                static_cast<unsigned long long>(scenario.seed));
    std::fflush(stdout);
  }
};

void run_one(std::uint64_t seed, bool trace, Totals& totals) {
  const Scenario scenario = draw_scenario(seed);
  try {
    totals.add(Job(scenario, nullptr, trace).run());
  } catch (const std::exception& error) {
    totals.fail(scenario, error.what());
  }
}

/// Memory shared by the processes.
struct Shared {
  std::atomic<std::uint64_t> next{0};
  Totals totals[kMostJobs];
};

Shared& shared() {
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "no shared memory");
  return *new (memory) Shared;
}

/// Runs all seeds, in `jobs` processes: checkpoint readers fork, and with a second thread the child may wait
/// forever for a lock that the thread held (under the sanitizers, the allocator's).
Totals run_all(std::uint64_t first, std::uint64_t seeds, unsigned jobs) {
  Shared& common = shared();
  std::fflush(stdout);
  std::vector<pid_t> children;
  for (unsigned i = 0; i < jobs; ++i) {
    const pid_t child = fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "no process");
    if (child == 0) {
      for (std::uint64_t k = common.next++; k < seeds; k = common.next++)
        run_one(first + k, false, common.totals[i]);
      std::exit(0);
    }
    children.push_back(child);
  }
  Totals all;
  for (unsigned i = 0; i < jobs; ++i) {
    int status = 0;
    if (waitpid(children[i], &status, 0) != children[i] || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      std::printf("a process of the test FAILED with status %d\n", status);
      ++all.failed;
    }
    all.add(common.totals[i].sum);
    all.failed += common.totals[i].failed;
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t seeds = 1000, first = 1, replayed = 0;
  unsigned jobs = std::max(1u, std::min(2u, std::thread::hardware_concurrency()));
  CLI::App app("Whole runs with deaths of every kind, over virtual messages and virtual time");
  app.add_option("--seeds", seeds, "how many seeds")->envname("OUTERLOOP_SIMULATION_SEEDS");
  app.add_option("--first", first, "the first of them");
  app.add_option("--jobs", jobs, "processes")->check(CLI::Range(1u, kMostJobs));
  const auto* replay = app.add_option("--seed", replayed, "this one alone, with every message");
  CLI11_PARSE(app, argc, argv);

  Totals totals;
  const auto start = std::chrono::steady_clock::now();
  if (*replay)
    run_one(replayed, true, totals);
  else
    totals = run_all(first, seeds, jobs);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const Report& sum = totals.sum;
  std::printf("%lld of %llu seeds failed, in %.1f s: %lld events, %lld updates kept, %.0f virtual seconds\n",
              static_cast<long long>(totals.failed), static_cast<unsigned long long>(*replay ? 1 : seeds),
              seconds, static_cast<long long>(sum.events), static_cast<long long>(sum.updates), sum.seconds);
  std::printf(
      "%lld starts of the coordinator, %lld checkpoint writes cut, %lld workers lost, %lld rollbacks, "
      "%lld evaluations, %lld steps back, %lld ends of a connection, %lld works beyond the deadline, "
      "%lld streams ahead of a message\n",
      static_cast<long long>(sum.starts), static_cast<long long>(sum.cut_writes),
      static_cast<long long>(sum.workers_lost), static_cast<long long>(sum.rollbacks),
      static_cast<long long>(sum.evaluations), static_cast<long long>(sum.steps_back),
      static_cast<long long>(sum.connections_ended), static_cast<long long>(sum.long_works),
      static_cast<long long>(sum.streams_ahead));
  return totals.failed == 0 ? 0 : 1;
}
