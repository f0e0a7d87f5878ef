#pragma once
// How many cores this process may use: its affinity, limited by CPU quotas of its control groups and by the
// cores that Slurm gave its job.
#include <optional>
#include <string>

namespace outerloop::base {

/// The smallest CPU quota, in cores (docker run --cpus 1.5: 1.5), of this process's control group and of
/// those above it, of versions 1 and 2; none where there is no limit. `root` stands in front of every path,
/// for tests. scripts/lib.sh reads the same.
std::optional<double> cpu_quota(const std::string& root = "");

/// Cores of this host that Slurm gave to the job or step that this process is in; none outside of a job.
std::optional<int> slurm_cores();

/// The least of the three, a quota rounded up; at least 1.
int available_cores();

}  // namespace outerloop::base
