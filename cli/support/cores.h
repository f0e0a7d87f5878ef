#pragma once
// CPU affinity: the cores that this process may run on, and pinning a worker to cores of its own.
#include <string>
#include <vector>

namespace outerloop::cli {

/// Numbers of the cores that this process may run on, ascending; empty where the system does not say.
std::vector<int> usable_cores();

/// This process and threads that it starts later stay on `cores`. Returns whether the system took it.
bool stay_on(const std::vector<int>& cores);

/// The cores of worker `worker` (0 ..) of `workers` on this host, `threads` to each, where together they fill
/// `usable`; else none: then the system moves them about.
std::vector<int> cores_of_worker(const std::vector<int>& usable, int workers, int worker, int threads);

/// Empty, or one line that says that `threads` of one process have but `cores` cores, and what to do.
std::string too_few_cores(int threads, int cores, int rank);

}  // namespace outerloop::cli
