#pragma once
// CPU affinity: the cores that this process may run on, and pinning of workers to separate cores.
#include <cstdint>
#include <string>
#include <vector>

namespace outerloop::cli {

/// Numbers of the cores that this process may run on, ascending; empty if the system does not report them.
std::vector<int> usable_cores();

/// Pins this process and its later threads to `cores`. Returns whether that succeeded.
bool stay_on(const std::vector<int>& cores);

/// The cores of worker `worker` (0 ..) of `workers` on this host, `threads` for each, if the workers exactly
/// fill `usable`; else none, which leaves the placement to the scheduler.
std::vector<int> cores_of_worker(const std::vector<int>& usable, int workers, int worker, int threads);

/// A one-line warning that `threads` threads of one process share only `cores` cores, with the remedy; or
/// empty.
std::string too_few_cores(int threads, int cores, int rank);

/// A one-line warning that no base model of the run is large enough for the fused engine to gain by `threads`
/// threads (docs/fused-engine.md, Threads), with the remedy; or empty. The largest one: `units` of its hidden
/// layers, `examples` of a minibatch, `channels` C of the rule.
std::string too_small_for_threads(int threads, std::int64_t units, std::int64_t examples,
                                  std::int64_t channels);

}  // namespace outerloop::cli
