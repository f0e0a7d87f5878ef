// test_simulation [--seeds N] [--seed S] [--first S] [--jobs N]: simulated runs, seed after seed. A seed that
// fails is printed with the command that replays it. OUTERLOOP_SIMULATION_SEEDS is the same as --seeds.
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>

#include "tests/simulation/job.h"

namespace {

using namespace outerloop::simulation;

struct Totals {
  std::mutex mutex;
  Report sum;
  std::int64_t failed = 0;

  void add(const Report& report) {
    const std::lock_guard lock(mutex);
    sum.events += report.events;
    sum.updates += report.updates;
    sum.starts += report.starts;
    sum.workers_lost += report.workers_lost;
    sum.rollbacks += report.rollbacks;
    sum.cut_writes += report.cut_writes;
    sum.evaluations += report.evaluations;
    sum.steps_back += report.steps_back;
    sum.seconds += report.seconds;
  }

  void fail(const Scenario& scenario, const char* what) {
    const std::lock_guard lock(mutex);
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

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t seeds = 1000, first = 1, replayed = 0;
  unsigned jobs = std::max(1u, std::min(2u, std::thread::hardware_concurrency()));
  CLI::App app("Whole runs with deaths of every kind, over virtual messages and virtual time");
  app.add_option("--seeds", seeds, "how many seeds")->envname("OUTERLOOP_SIMULATION_SEEDS");
  app.add_option("--first", first, "the first of them");
  app.add_option("--jobs", jobs, "threads")->check(CLI::Range(1, 1024));
  const auto* replay = app.add_option("--seed", replayed, "this one alone, with every message");
  CLI11_PARSE(app, argc, argv);

  Totals totals;
  const auto start = std::chrono::steady_clock::now();
  if (*replay) {
    run_one(replayed, true, totals);
  } else {
    std::atomic<std::uint64_t> next{0};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < jobs; ++i)
      threads.emplace_back([&] {
        for (std::uint64_t k = next++; k < seeds; k = next++) run_one(first + k, false, totals);
      });
    for (auto& thread : threads) thread.join();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const Report& sum = totals.sum;
  std::printf("%lld of %llu seeds failed, in %.1f s: %lld events, %lld updates kept, %.0f virtual seconds\n",
              static_cast<long long>(totals.failed), static_cast<unsigned long long>(*replay ? 1 : seeds),
              seconds, static_cast<long long>(sum.events), static_cast<long long>(sum.updates), sum.seconds);
  std::printf(
      "%lld starts of the coordinator, %lld checkpoint writes cut, %lld workers lost, %lld rollbacks, "
      "%lld evaluations, %lld steps back\n",
      static_cast<long long>(sum.starts), static_cast<long long>(sum.cut_writes),
      static_cast<long long>(sum.workers_lost), static_cast<long long>(sum.rollbacks),
      static_cast<long long>(sum.evaluations), static_cast<long long>(sum.steps_back));
  return totals.failed == 0 ? 0 : 1;
}
