#pragma once
// Normalisations of the neuron-local rule and linear systems of its meta-objective, each one node of the
// autograd graph with a hand-written adjoint.
#include <ATen/ATen.h>

#include <cstdint>

namespace outerloop::rule::reference {

using at::Tensor;

/// t / sqrt(epsilon + mean_dims t²): the mean over `dims`, kept as extents of one.
Tensor rms_normalise(const Tensor& t, at::IntArrayRef dims, double epsilon);

/// t - mean t, divided by sqrt(epsilon + mean of its squares), over the last axis.
Tensor standardise(const Tensor& t, double epsilon);

/// mean |w|, sqrt(mean w² + 1e-6), mean w, sqrt(var w + 1e-8) of the columns and of the rows of w [S, I, J].
struct WeightStatistics {
  Tensor columns;  ///< [S, J, 4]
  Tensor rows;     ///< [S, I, 4]
};
WeightStatistics weight_statistics(const Tensor& w);

/// G⁻¹ R by a Cholesky factorisation: G [n, m, m] symmetric and positive definite, R [n, m, r]. Not finite
/// where G is not such. Nothing is read back from the device.
Tensor solve_positive(const Tensor& G, const Tensor& R);

}  // namespace outerloop::rule::reference
