#pragma once
// How many lanes of a call run side by side, and of how many inner steps the graph is kept, within a memory
// budget.
#include <cstdint>

#include "common/rule/engine.h"
#include "common/rule/reference/export.h"

namespace outerloop::rule::reference {

/// Bytes that the graph of one inner step of one lane holds, by the shapes alone; `item` bytes per number.
OUTERLOOP_REFERENCE_API std::int64_t step_bytes(const NeuronLocalSize& size, const Architecture& architecture,
                                                std::int64_t batch, std::int64_t labelled, std::int64_t item);

struct MemoryPlan {
  std::int64_t lanes = 1;       ///< side by side; the others follow
  std::int64_t kept_steps = 0;  ///< the last ones; earlier ones are computed again in the reverse sweep
};

/// As many lanes as fit with all of their steps, one at least; a lane that does not fit keeps fewer steps.
/// `budget` in bytes, 0: unlimited. Depends on its arguments alone.
OUTERLOOP_REFERENCE_API MemoryPlan plan_memory(std::int64_t budget, std::int64_t lanes, std::int64_t steps,
                                               std::int64_t bytes_of_step, std::int64_t bytes_of_phi);

}  // namespace outerloop::rule::reference
