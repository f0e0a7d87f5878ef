#pragma once
// The weight changes of all layers, each from the hidden states below and above it, for S tasks (lanes) side
// by side: docs/update-rule.md, §3.4; Metz et al. 2019, appendix A. Layers are packed as in LayerStack: I is
// the largest N_{l-1}, J the largest N_l; smaller layers are padded with zeros.
#include <ATen/ATen.h>

#include <cstdint>

#include "common/rule/reference/layer_stack.h"

namespace outerloop::rule::reference {

/// The number of readouts of a hidden state for one weight matrix, as its upper and as its lower layer.
/// Order, lower: w0.row w1.row rbf.row | lin_lower.row sqr_lower.row | lin_lower.col sqr_lower.col
/// upper: w0.col w1.col rbf.col | lin_upper.row sqr_upper.row | lin_upper.col sqr_upper.col | lin_upper_psd
constexpr std::int64_t kUpperReadouts = 8;
constexpr std::int64_t kLowerReadouts = 7;

/// The order of computation of the terms, by their numbers in docs/update-rule.md, §3.4: lin_upper_psd,
/// decorr_x, lin_upper_symm, sqr_upper_symm, lin_lower_symm, sqr_lower_symm, 0_order, 1_order, rbf, hebb,
/// large_decay, w_base.
constexpr std::int64_t kMergeOrder[12] = {6, 2, 7, 10, 5, 9, 0, 1, 8, 3, 4, 11};

/// Inputs that do not depend on the layers' own weights. The stack's layers are l = first + 1 .. first + L of
/// the base model.
struct LayerPairs {
  Tensor upper;  ///< [kUpperReadouts, L, S, J, G * B], each scaled by 1/sqrt(G B)
  Tensor lower;  ///< [kLowerReadouts, L, S, I, G * B], scaled the same
  // x centred per unit and divided by sqrt(Σ² + B 1e-6)
  Tensor inputs;  ///< x^0: [1, S, N_0, B], a constant
  Tensor x;       ///< from x^1 on, for all layers of the base model, padded: [layers, S, units, B]
  std::int64_t first = 0;
};

struct WeightChange {
  Tensor terms;  ///< [12, L, S, I, J] in the order of kMergeOrder, before their normalisation
  Tensor delta;  ///< ΔW [L, S, I, J]
};

/// W [L, S, I, J]; `merge` [S, 13]: the learned combination of the terms, their factors m_k in the order of
/// kMergeOrder and m_0. `stack` must outlive the graph.
WeightChange weight_change(const Tensor& W, const LayerPairs& pairs, const Tensor& merge,
                           const LayerStack& stack);

}  // namespace outerloop::rule::reference
