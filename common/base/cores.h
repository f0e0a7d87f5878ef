#pragma once
// Number of cores that this process may use: its affinity, limited by CPU quotas of its control groups and by
// the cores that Slurm allocated to its job.
#include <optional>
#include <string>

namespace outerloop::base {

/// The smallest CPU quota, in cores (docker run --cpus 1.5: 1.5), of this process's control group and its
/// ancestors, versions 1 and 2; empty if there is no limit. `root` is prepended to every path, for tests.
/// scripts/lib.sh implements the same rule.
std::optional<double> cpu_quota(const std::string& root = "");

/// Cores of this host that Slurm allocated to the current job or step; empty outside a job.
std::optional<int> slurm_cores();

/// The minimum of affinity, quota (rounded up) and Slurm's cores; at least 1.
int available_cores();

}  // namespace outerloop::base
