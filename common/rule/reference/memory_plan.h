#pragma once
// Splits a call to fit a memory budget: the number of lanes side by side, and of inner steps whose graph is
// kept.
#include <cstdint>

#include "common/rule/engine.h"
#include "common/rule/reference/export.h"

namespace outerloop::rule::reference {

/// Bytes of the graph of one inner step of one lane, estimated from the shapes; `item` bytes per number.
OUTERLOOP_REFERENCE_API std::int64_t step_bytes(const NeuronLocalSize& size, const Architecture& architecture,
                                                std::int64_t batch, std::int64_t labelled, std::int64_t item);

/// The number of lanes that a CPU computes at once, for the same arguments. More lanes share the time to
/// start an operation, but their hidden states no longer stay in its caches: at most 2 MiB for a layer, or
/// one lane.
OUTERLOOP_REFERENCE_API std::int64_t lanes_in_cache(const NeuronLocalSize& size,
                                                    const Architecture& architecture, std::int64_t batch,
                                                    std::int64_t item);

struct MemoryPlan {
  std::int64_t lanes = 1;       ///< computed at once; the others follow
  std::int64_t kept_steps = 0;  ///< the last steps; earlier ones are recomputed in the reverse sweep
};

/// As many lanes as fit with all of their steps, but at least one; a lane that does not fit keeps fewer
/// steps. `budget` in bytes, 0: unlimited. A function of its arguments alone.
OUTERLOOP_REFERENCE_API MemoryPlan plan_memory(std::int64_t budget, std::int64_t lanes, std::int64_t steps,
                                               std::int64_t bytes_of_step, std::int64_t bytes_of_phi);

}  // namespace outerloop::rule::reference
