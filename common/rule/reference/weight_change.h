#pragma once
// The weight change of one layer, from the hidden states below and above it: docs/update-rule.md, §3.4; Metz
// et al. 2019, appendix A. Of S tasks (lanes) side by side.
#include <ATen/ATen.h>

#include <cstdint>

namespace outerloop::rule::reference {

using at::Tensor;

/// How many readouts a hidden state feeds as the upper and as the lower layer of a weight matrix, in the
/// order lower: w0.row w1.row rbf.row | lin_lower.row sqr_lower.row | lin_lower.col sqr_lower.col
/// upper: w0.col w1.col rbf.col | lin_upper.row sqr_upper.row | lin_upper.col sqr_upper.col | lin_upper_psd
constexpr std::int64_t kUpperReadouts = 8;
constexpr std::int64_t kLowerReadouts = 7;

/// The order in which the terms are computed, as their numbers in docs/update-rule.md, §3.4: lin_upper_psd,
/// decorr_x, lin_upper_symm, sqr_upper_symm, lin_lower_symm, sqr_lower_symm, 0_order, 1_order, rbf, hebb,
/// large_decay, w_base.
constexpr std::int64_t kMergeOrder[12] = {6, 2, 7, 10, 5, 9, 0, 1, 8, 3, 4, 11};

/// What does not depend on the layer's own weights.
struct LayerPair {
  Tensor upper;    ///< [kUpperReadouts, S, N_l, G * B], each scaled by 1/sqrt(G B)
  Tensor lower;    ///< [kLowerReadouts, S, N_{l-1}, G * B], likewise
  Tensor x_upper;  ///< û [S, N_l, B]: centred per unit and divided by sqrt(mean² + 1e-6)
  Tensor x_lower;  ///< l̂ [S, N_{l-1}, B]
};

/// The learned combination of the terms.
struct Merge {
  Tensor w;  ///< [S, 12] in the order of kMergeOrder
  Tensor b;  ///< [S, 1]
};

struct WeightChange {
  Tensor terms;  ///< [12, S, N_{l-1}, N_l] in the order of kMergeOrder, before their normalisation
  Tensor delta;  ///< ΔW [S, N_{l-1}, N_l]
};

WeightChange weight_change(const Tensor& W, const LayerPair& pair, const Merge& merge);

}  // namespace outerloop::rule::reference
