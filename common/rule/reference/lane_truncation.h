#pragma once
// One truncation of several lanes: k inner steps, all their meta-objectives in one batch, and the reverse
// sweep step by step. The graph of a step covers only φ before it to φ after it, so stored and recomputed
// steps give the same bits.
#include <functional>
#include <vector>

#include "common/rule/engine.h"
#include "common/rule/reference/memory_plan.h"
#include "common/rule/reference/packed_theta.h"

namespace outerloop::rule::reference {

/// Inputs of a truncation that all lanes share.
struct LaneSetup {
  const NeuronLocalSize& size;
  const PackedTheta& packed;
  const Architecture& architecture;
  const Layout& phi_layout;
  at::TensorOptions options;
  std::function<void()> step_done;  ///< called after each inner step, forward and backward
};

/// Results of `lanes`, all computed at once, with θ in the order of `packed`. The graphs of the last
/// `kept_steps` steps are stored; the others are recomputed.
std::vector<TruncationResult> run_truncation(const LaneSetup& setup, const std::vector<double>& packed_theta,
                                             const std::vector<TruncationLane>& lanes,
                                             std::int64_t kept_steps);

/// φ of every lane after its minibatches.
std::vector<std::vector<double>> run_unroll(const LaneSetup& setup, const std::vector<double>& packed_theta,
                                            const std::vector<UnrollLane>& lanes);

/// The meta-objective of every lane; NaN if the features are dead.
std::vector<double> run_objective(const LaneSetup& setup, const std::vector<ObjectiveLane>& lanes);

}  // namespace outerloop::rule::reference
