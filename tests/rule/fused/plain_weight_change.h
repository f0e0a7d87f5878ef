#pragma once
// Plain version of a layer's weight change, written after docs/update-rule.md, §3.4, with one loop per sum,
// for comparison with the engine's.
#include <vector>

#include "common/rule/fused/weight_change.h"

namespace outerloop::tests {

struct PlainWeightChange {
  std::vector<double> delta;  ///< [N_lower, N_upper]
  double along = 0;           ///< mean(Δ·w), before the relu
};

PlainWeightChange plain_weight_change(const rule::fused::WeightChangeSize& size,
                                      const rule::fused::WeightChangeInput<double>& input);

}  // namespace outerloop::tests
