#pragma once
// Normalisations and readouts of the neuron-local rule, each one node of the autograd graph with a
// hand-written adjoint.
#include <ATen/ATen.h>

#include <cstdint>

namespace outerloop::rule::reference {

using at::Tensor;

/// t / sqrt(epsilon + mean_dims t²): the mean over `dims`, kept as extents of one.
Tensor rms_normalise(const Tensor& t, at::IntArrayRef dims, double epsilon);

/// What all linear readouts of one layer's hidden state give.
struct Readouts {
  Tensor rows;  ///< [readouts, units, channels * batch]: contiguous factors of products over (channel, batch)
  Tensor mean;  ///< [units]: the last row of `w`, averaged over the batch; undefined unless asked for
};

/// scale * (h wᵀ + bias) for many readouts of `channels` channels in one product.
/// h [units, batch, C]; w [readouts * channels (+ 1), C]; bias [readouts * channels]. With `with_mean` the
/// last row of w is one more readout, neither biased nor scaled, of which only the mean over the batch is
/// returned.
Readouts readouts(const Tensor& h, const Tensor& w, const Tensor& bias, std::int64_t channels, double scale,
                  bool with_mean);

/// scale * (r + rᵀ) with a zero diagonal. r [..., n, n].
Tensor symmetric_zero_diagonal(const Tensor& r, double scale);

}  // namespace outerloop::rule::reference
