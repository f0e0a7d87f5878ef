#include "common/base/cores.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

namespace outerloop::base {
namespace {

/// Mount point of a hierarchy of control groups, and this process's group in it.
struct Hierarchy {
  bool unified = false;  ///< version 2
  std::string root;      ///< the group that is mounted: not "/" in some containers
  std::string mounted;   ///< the folder
};

bool has_word(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

/// Of /proc/self/mountinfo: 33 31 0:30 /root /mounted options - cgroup cgroup rw,cpu
std::vector<Hierarchy> hierarchies(const std::string& root) {
  std::vector<Hierarchy> found;
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream before(line), after(line.substr(dash + 3));
    std::string skipped, type, source, options;
    Hierarchy hierarchy;
    before >> skipped >> skipped >> skipped >> hierarchy.root >> hierarchy.mounted;
    after >> type >> source >> options;
    hierarchy.unified = type == "cgroup2";
    if (hierarchy.unified || (type == "cgroup" && has_word(options, "cpu"))) found.push_back(hierarchy);
  }
  return found;
}

/// Of /proc/self/cgroup: "1:cpu,cpuacct:/group", or "0::/group" of version 2.
std::string group_of(const std::string& root, bool unified) {
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (unified ? controllers.empty() : has_word(controllers, "cpu")) return line.substr(second + 1);
  }
  return "/";
}

/// Empty if there is no limit: -1, or text that is not a number.
std::optional<double> ratio(double quota, double period) {
  if (quota <= 0.0 || period <= 0.0) return std::nullopt;
  return quota / period;
}

double number_in(const std::string& path) {
  std::ifstream file(path);
  double number = 0.0;
  return file >> number ? number : 0.0;
}

std::optional<double> quota_of(const std::string& folder, bool unified) {
  if (!unified)
    return ratio(number_in(folder + "/cpu.cfs_quota_us"), number_in(folder + "/cpu.cfs_period_us"));
  std::ifstream file(folder + "/cpu.max");
  double quota = 0.0, period = 0.0;
  return file >> quota >> period ? ratio(quota, period) : std::nullopt;  // "max 100000": no limit
}

}  // namespace

std::optional<double> cpu_quota(const std::string& root) {
  std::optional<double> least;
  for (const auto& hierarchy : hierarchies(root)) {
    std::string group = group_of(root, hierarchy.unified);
    // The group's path begins at the hierarchy's root, which may be invisible in a container.
    if (hierarchy.root != "/" && group.rfind(hierarchy.root, 0) == 0)
      group = group.substr(hierarchy.root.size());
    if (group.find("/..") != std::string::npos) group.clear();
    for (;;) {
      while (!group.empty() && group.back() == '/') group.pop_back();
      if (const auto quota = quota_of(root + hierarchy.mounted + group, hierarchy.unified))
        least = least ? std::min(*least, *quota) : *quota;
      if (group.empty()) break;
      group = group.substr(0, group.find_last_of('/'));
    }
  }
  return least;
}

std::optional<int> slurm_cores() {
  const char* job = std::getenv("SLURM_JOB_ID");
  const char* cores = std::getenv("SLURM_CPUS_ON_NODE");
  const int number = job && cores ? std::atoi(cores) : 0;
  if (number <= 0) return std::nullopt;
  return number;
}

int available_cores() {
  auto cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));  // if there are too many for a cpu_set_t
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) cores = CPU_COUNT(&allowed);
  if (const auto quota = cpu_quota()) cores = std::min(cores, static_cast<int>(std::ceil(*quota)));
  if (const auto slurm = slurm_cores()) cores = std::min(cores, *slurm);
  return std::max(1, cores);
}

}  // namespace outerloop::base
