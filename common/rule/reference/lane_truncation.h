#pragma once
// One truncation of several lanes: k inner steps, the meta-objectives of all of them in one batch, and the
// reverse sweep step by step. A step's graph reaches from φ before it to φ after it, so that kept and
// recomputed steps give the same bits.
#include <functional>
#include <vector>

#include "common/rule/engine.h"
#include "common/rule/reference/memory_plan.h"
#include "common/rule/reference/packed_theta.h"

namespace outerloop::rule::reference {

/// What a truncation is made with.
struct LaneSetup {
  const NeuronLocalSize& size;
  const PackedTheta& packed;
  const Architecture& architecture;
  const Layout& phi_layout;
  at::TensorOptions options;
  std::function<void()> step_done;  ///< called after each inner step, forward and backward
};

/// Results of `lanes` with θ in the order of `packed`; all of them at once, with the graphs of `kept_steps`
/// steps.
std::vector<TruncationResult> run_truncation(const LaneSetup& setup, const std::vector<double>& packed_theta,
                                             const std::vector<TruncationLane>& lanes,
                                             std::int64_t kept_steps);

/// φ of every lane after its minibatches.
std::vector<std::vector<double>> run_unroll(const LaneSetup& setup, const std::vector<double>& packed_theta,
                                            const std::vector<UnrollLane>& lanes);

/// The meta-objective of every lane; NaN where the features are dead.
std::vector<double> run_objective(const LaneSetup& setup, const std::vector<ObjectiveLane>& lanes);

}  // namespace outerloop::rule::reference
