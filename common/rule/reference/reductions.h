#pragma once
// Normalisations of the neuron-local rule and linear systems of its meta-objective. Each is one node of the
// autograd graph with a hand-written adjoint.
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "common/rule/reference/layer_stack.h"

namespace outerloop::rule::reference {

// Epsilons are tensors [1], because adding a number would take an operation of its own.

/// t / sqrt(epsilon + mean_dims t²), with the mean over `dims`.
Tensor rms_normalise(const Tensor& t, at::IntArrayRef dims, const Tensor& epsilon);

/// t - mean t over the last axis of n entries, divided by sqrt(epsilon + mean of its squares).
Tensor standardise(const Tensor& t, const Tensor& epsilon);
/// The same divided by sqrt(n), so that sums of products are means.
Tensor standardise_for_sums(const Tensor& t, const Tensor& epsilon);

/// mean |w|, sqrt(mean w² + 1e-6), mean w, sqrt(var w + 1e-8) of the columns and of the rows of every layer.
struct WeightStatistics {
  std::vector<Tensor> columns;  ///< [l - 1]: [S, N_l, 4]
  std::vector<Tensor> rows;     ///< [l - 1]: [S, N_{l-1}, 4]
};
/// W [L, S, I, J], packed according to `stack`, which must outlive the graph.
WeightStatistics weight_statistics(const Tensor& W, const LayerStack& stack);

/// Δb [L, S, J, 1] of every layer from `mean` [L, S, J, 1], the mean over the batch of bias.w h, and bias.b
/// [S, 1]: their sum c, then c + relu(-mean c), then divided by sqrt(0.5 + mean square).
Tensor bias_change(const Tensor& mean, const Tensor& bias, const LayerStack& stack);

/// G⁻¹ R by a Cholesky factorisation: G [n, m, m] symmetric and positive definite, R [n, m, r]. Not finite if
/// G is not positive definite. Nothing is read back from the device.
Tensor solve_positive(const Tensor& G, const Tensor& R);

}  // namespace outerloop::rule::reference
