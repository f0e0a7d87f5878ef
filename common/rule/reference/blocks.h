#pragma once
// Convolutions and batch norms of the neuron-local rule with hand-written adjoints, on plain tensors without
// LibTorch's autograd graph. Several tasks (lanes) are computed side by side with the same weights, but each
// lane has its own weight gradients. Any device, float32 and float64. Derivations: docs/update-rule.md, §6.
#include <ATen/ATen.h>

#include <cstdint>

namespace outerloop::rule::reference {

using at::Tensor;

/// The places [outer, inner] of one channel of one lane. Tensors below are [lanes, channels, outer * inner],
/// contiguous unless stated otherwise: a channel is one long row.
struct Grid {
  std::int64_t lanes = 0, outer = 0, inner = 0;

  std::int64_t places() const { return outer * inner; }
};

/// Batch norm's epsilon in the update network.
constexpr double kBatchNormEpsilon = 1e-3;

/// Matrix i of w [n, rows, columns], and its transpose, the same for all lanes: [lanes, rows, columns].
Tensor shared_matrix(const Tensor& w, std::int64_t i, std::int64_t lanes);
Tensor shared_transpose(const Tensor& w, std::int64_t i, std::int64_t lanes);

/// Gradients of a convolution. w [taps, in, out], an odd number of taps; zero padding.
struct ConvolutionGradient {
  Tensor dx;  ///< [lanes, in, places]
  Tensor dw;  ///< [lanes, taps, in, out]
};

/// Cross-correlation along the outer axis, where neighbours are `inner` places apart: [lanes, out, places].
Tensor convolve_outer(const Grid& grid, const Tensor& x, const Tensor& w);
/// `addend`, if defined, is added to dx.
ConvolutionGradient outer_gradient(const Grid& grid, const Tensor& x, const Tensor& w, const Tensor& dy,
                                   const Tensor& addend = {});

/// The input of a convolution along the inner axis: zeros [lanes, channels, outer, inner + taps - 1], of
/// which `interior` is [lanes, channels, outer, inner], to be written before `windows`.
struct Padded {
  Tensor whole, interior;
  Padded(const Grid& grid, std::int64_t channels, std::int64_t taps, const at::TensorOptions& options);
};
/// The windows of all places: [lanes, taps * channels, places].
Tensor windows(const Grid& grid, const Padded& padded, std::int64_t taps);
/// [lanes, out, places] from `windows`. `start`, if defined, is added to and becomes the result.
Tensor convolve_inner(const Tensor& windows, const Tensor& w, const Tensor& start = {});
/// dx is a view with gaps between lanes.
ConvolutionGradient inner_gradient(const Grid& grid, const Tensor& windows, const Tensor& w,
                                   const Tensor& dy);

/// Batch norm of each lane and channel over its places, biased variance, eps 1e-3, offset beta, no scale.
struct Normalised {
  Tensor input;       ///< [lanes, channels, places]
  Tensor mean, rstd;  ///< [lanes, channels]: rstd = 1/sqrt(var + eps)
  Tensor out;         ///< [lanes, channels, places]
};
/// beta [channels].
Normalised normalise(const Tensor& y, const Tensor& beta, bool with_relu);

struct NormGradient {
  Tensor dy;     ///< [lanes, channels, places]
  Tensor dbeta;  ///< [lanes * channels]
};
/// `ones`: at least lanes * channels of them. `dout` need not be contiguous if `with_relu`.
NormGradient normalise_gradient(const Normalised& norm, const Tensor& dout, const Tensor& ones,
                                bool with_relu);

}  // namespace outerloop::rule::reference
