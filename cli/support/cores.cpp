#include "cli/support/cores.h"

#include <fmt/format.h>
#include <sched.h>

namespace outerloop::cli {
namespace {

// Multiplications of one tap of a layer's convolution, units · examples · channels². Measured with two
// threads: 0.8 million gain 1.07, 67 million 1.87 (docs/lab/benchmarks.md, "Threads of the fused engine").
// The bar is their geometric mean.
constexpr double kLeastForThreads = 7.3e6;

}  // namespace

std::vector<int> usable_cores() {
  std::vector<int> cores;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  return cores;
}

bool stay_on(const std::vector<int>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(core, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

std::vector<int> cores_of_worker(const std::vector<int>& usable, int workers, int worker, int threads) {
  if (static_cast<std::size_t>(workers) * static_cast<std::size_t>(threads) != usable.size()) return {};
  const auto first = usable.begin() + static_cast<std::ptrdiff_t>(worker) * threads;
  return {first, first + threads};
}

std::string too_few_cores(int threads, int cores, int rank) {
  if (cores == 0 || cores >= threads) return "";
  return fmt::format(
      "engine.threads = {}, but rank {} may use {} only; give each rank {} cores (docs/fused-engine.md, "
      "Threads) or set engine.threads = {}",
      threads, rank, cores == 1 ? "1 core" : fmt::format("{} cores", cores), threads, cores);
}

std::string too_small_for_threads(int threads, std::int64_t units, std::int64_t examples,
                                  std::int64_t channels) {
  const auto number = [](std::int64_t value) { return static_cast<double>(value); };
  const double multiplications = number(units) * number(examples) * number(channels) * number(channels);
  if (threads <= 1 || multiplications >= kLeastForThreads) return "";
  return fmt::format(
      "engine.threads = {}, but the largest base models ({} units, minibatches of {}, {} channels) are too "
      "small for threads to pay (docs/fused-engine.md, Threads); one worker per core with engine.threads = 1 "
      "is faster",
      threads, units, examples, channels);
}

}  // namespace outerloop::cli
