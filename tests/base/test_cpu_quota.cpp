// CPU quotas of control groups, versions 1 and 2: the program and the scripts count the same cores.
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/base/cores.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

namespace outerloop::tests {
namespace {

constexpr const char* kVersion1 =
    "23 1 0:20 / / rw - ext4 /dev/vda rw\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n";
constexpr const char* kVersion2 =
    "41 31 0:38 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

/// The files of a machine that is not here.
class FakeMachine {
 public:
  FakeMachine(const std::string& mounts, const std::string& groups) {
    write("/proc/self/mountinfo", mounts);
    write("/proc/self/cgroup", groups);
  }
  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path whole = root() + path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
  }
  /// A group of version 1.
  void limit(const std::string& group, const std::string& quota) const {
    write("/sys/fs/cgroup/cpu,cpuacct" + group + "/cpu.cfs_quota_us", quota + "\n");
    write("/sys/fs/cgroup/cpu,cpuacct" + group + "/cpu.cfs_period_us", "100000\n");
  }
  std::string root() const { return folder_ / "root"; }

 private:
  TemporaryFolder folder_;
};

/// Thousandths of a core by scripts/lib.sh; 0: no limit.
int quota_of_scripts(const FakeMachine& machine) {
  const std::string command = std::string("bash -c 'source \"") + OUTERLOOP_SCRIPTS +
                              "/lib.sh\"; cpu_quota \"" + machine.root() + "\"'";
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 64> line{};
  const bool read = std::fgets(line.data(), static_cast<int>(line.size()), pipe) != nullptr;
  pclose(pipe);
  return read ? std::atoi(line.data()) : 0;
}

void check_quota(const FakeMachine& machine, double cores) {
  const auto quota = base::cpu_quota(machine.root());
  CHECK(quota.value_or(0.0) == Approx(cores));
  CHECK(quota_of_scripts(machine) == static_cast<int>(std::ceil(1000.0 * cores - 1e-9)));
}

}  // namespace

TEST_CASE("a quota of version 1, of the group itself and of the one above it") {
  const FakeMachine machine(kVersion1, "3:cpuset:/\n2:cpu,cpuacct:/docker/a\n0::/\n");
  check_quota(machine, 0.0);
  machine.limit("/docker/a", "-1");
  check_quota(machine, 0.0);
  machine.limit("/docker/a", "150000");
  check_quota(machine, 1.5);
  machine.limit("/docker", "50000");
  check_quota(machine, 0.5);
  machine.limit("/docker", "400000");
  check_quota(machine, 1.5);
}

TEST_CASE("a quota of version 2, nested") {
  const FakeMachine machine(kVersion2, "0::/user.slice/job/step\n");
  machine.write("/sys/fs/cgroup/user.slice/job/step/cpu.max", "max 100000\n");
  check_quota(machine, 0.0);
  machine.write("/sys/fs/cgroup/user.slice/job/cpu.max", "33333 100000\n");
  check_quota(machine, 0.33333);
  machine.write("/sys/fs/cgroup/user.slice/job/step/cpu.max", "20000 50000\n");
  check_quota(machine, 0.33333);
}

TEST_CASE("in a container the group is the mount's own") {
  // A namespace of its own: the group is called /, and its files are in the mount.
  const FakeMachine inside(kVersion2, "0::/\n");
  inside.write("/sys/fs/cgroup/cpu.max", "250000 100000\n");
  check_quota(inside, 2.5);
  // Without one: the path is the host's, and the mount shows only what is below it.
  const FakeMachine bound(
      "32 31 0:29 /docker/a /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n",
      "2:cpu,cpuacct:/docker/a/b\n");
  bound.limit("/b", "-1");
  bound.limit("", "120000");
  check_quota(bound, 1.2);
  // A group outside of the namespace, as after entering a container by hand.
  const FakeMachine outside(kVersion2, "0::/../../other\n");
  outside.write("/sys/fs/cgroup/cpu.max", "100000 100000\n");
  check_quota(outside, 1.0);
}

TEST_CASE("files that are missing, empty or nonsense are no limit") {
  check_quota(FakeMachine("", ""), 0.0);
  const FakeMachine machine(kVersion2, "nonsense\n");
  machine.write("/sys/fs/cgroup/cpu.max", "");
  check_quota(machine, 0.0);
  machine.write("/sys/fs/cgroup/cpu.max", "0 100000\n");
  check_quota(machine, 0.0);
  machine.write("/sys/fs/cgroup/cpu.max", "100000 0\n");
  check_quota(machine, 0.0);
}

TEST_CASE("Slurm's cores of this host count inside a job alone, and a part of a core is one") {
  unsetenv("SLURM_JOB_ID");
  setenv("SLURM_CPUS_ON_NODE", "1", 1);
  CHECK_FALSE(base::slurm_cores());
  setenv("SLURM_JOB_ID", "7", 1);
  CHECK(base::slurm_cores() == 1);
  CHECK(base::available_cores() == 1);
  setenv("SLURM_CPUS_ON_NODE", "4096", 1);
  CHECK(base::available_cores() <= 4096);
  setenv("SLURM_CPUS_ON_NODE", "", 1);
  CHECK_FALSE(base::slurm_cores());
  unsetenv("SLURM_JOB_ID");
}

}  // namespace outerloop::tests
