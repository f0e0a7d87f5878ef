#include "cli/support/cores.h"

#include <fmt/format.h>
#include <sched.h>

namespace outerloop::cli {

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

}  // namespace outerloop::cli
