#pragma once
// The weight change of one layer, from the hidden states below and above it: docs/update-rule.md, §3.4; Metz
// et al. 2019, appendix A.
#include <ATen/ATen.h>

#include <cstdint>

namespace outerloop::rule::reference {

using at::Tensor;

/// How many readouts a hidden state feeds as the upper and as the lower layer of a weight matrix, in the
/// order upper: w0.col w1.col rbf.col | lin_upper.row sqr_upper.row | lin_upper.col sqr_upper.col |
/// lin_upper_psd lower: w0.row w1.row rbf.row | lin_lower.row sqr_lower.row | lin_lower.col sqr_lower.col
constexpr std::int64_t kUpperReadouts = 8;
constexpr std::int64_t kLowerReadouts = 7;

/// What does not depend on the layer's own weights.
struct LayerPair {
  Tensor upper;    ///< [kUpperReadouts, N_l, G * B], each scaled by 1/sqrt(G B)
  Tensor lower;    ///< [kLowerReadouts, N_{l-1}, G * B], likewise
  Tensor x_upper;  ///< û [N_l, B]: centred per unit and divided by sqrt(mean² + 1e-6)
  Tensor x_lower;  ///< l̂ [N_{l-1}, B]
};

/// The learned combination of the terms.
struct Merge {
  Tensor w;  ///< [12]
  Tensor b;  ///< [1]
};

struct WeightChange {
  Tensor terms;  ///< [12, N_{l-1}, N_l], before their normalisation
  Tensor delta;  ///< ΔW [N_{l-1}, N_l]
};

WeightChange weight_change(const Tensor& W, const LayerPair& pair, const Merge& merge);

/// û or l̂ of x [N, B].
Tensor standardise(const Tensor& x);

}  // namespace outerloop::rule::reference
