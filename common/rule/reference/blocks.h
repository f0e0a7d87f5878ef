#pragma once
// Convolutions and batch norms of the neuron-local rule with hand-written adjoints, on plain tensors without
// LibTorch's autograd graph. Several tasks (lanes) are computed side by side with the same weights, but each
// lane has its own weight gradients. Any device, float32 and float64. Derivations: docs/update-rule.md, §6.
#include <ATen/ATen.h>

#include <cstdint>

namespace outerloop::rule::reference {

using at::Tensor;

/// [lanes, outer, inner] with the channels innermost, viewed as rows: tensors below are [lanes * outer *
/// inner, channels], contiguous.
struct Grid {
  std::int64_t lanes = 0, outer = 0, inner = 0;

  std::int64_t rows() const { return outer * inner; }  ///< of one lane
  std::int64_t all() const { return lanes * rows(); }
};

/// The axis of a grid along which a convolution runs: neighbours are one row apart for `inner`, grid.inner
/// rows for `outer`.
enum class Axis { outer, inner };

/// Batch norm's epsilon in the update network.
constexpr double kBatchNormEpsilon = 1e-3;

/// The input matrix of a convolution of `taps` along an axis. Outer axis, where neighbours are whole lines
/// apart: x [rows, in] itself. Inner axis: the windows side by side [rows, taps * in], with zeros beyond the
/// ends of a line.
Tensor convolution_input(const Grid& grid, const Tensor& x, std::int64_t taps, Axis axis);

/// [rows, out]: cross-correlation with zero padding. `input`: convolution_input. w [taps, in, out], an odd
/// number of taps. `start`, if defined, is added to and becomes the result.
Tensor convolve(const Grid& grid, const Tensor& input, const Tensor& w, Axis axis, const Tensor& start = {});

/// Gradients of a convolution.
struct ConvolutionGradient {
  Tensor dx;  ///< [rows, in], `addend` included
  Tensor dw;  ///< [lanes, taps, in, out]
};
/// `addend`: only for a convolution along the outer axis.
ConvolutionGradient convolution_gradient(const Grid& grid, const Tensor& input, const Tensor& w,
                                         const Tensor& dy, Axis axis, const Tensor& addend = {});

/// Batch norm of each lane and channel over the lane's rows, biased variance, eps 1e-3, offset beta, no
/// scale.
struct Normalised {
  Tensor centred;  ///< [rows, channels]
  Tensor powers;   ///< [2, lanes, 1, channels]: s and s³, s = 1/sqrt(n (var + eps)), n the rows of a lane
  Tensor out;      ///< [rows, channels]
};

/// Constants for `normalise`.
struct NormConstants {
  Tensor exponents;  ///< [2, 1, 1, 1]: -1/2, -3/2
  Tensor epsilon;    ///< [1]: kBatchNormEpsilon
  explicit NormConstants(const at::TensorOptions& options);
};

/// `y` is centred in place. beta [channels].
Normalised normalise(const Grid& grid, const Tensor& y, const Tensor& beta, const NormConstants& constants,
                     bool with_relu);

struct NormGradient {
  Tensor dy;     ///< [rows, channels]
  Tensor dbeta;  ///< [lanes, channels]
};
NormGradient normalise_gradient(const Grid& grid, const Normalised& norm, const Tensor& dout, bool with_relu);

/// Rows first .. first + count - 1 of every lane: [lanes, count, channels].
Tensor lane_rows(const Grid& grid, const Tensor& x, std::int64_t first, std::int64_t count);

}  // namespace outerloop::rule::reference
