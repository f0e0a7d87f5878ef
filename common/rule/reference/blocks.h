#pragma once
// Convolutions and batch norms of the neuron-local rule with hand-written adjoints, on plain tensors: no
// graph of LibTorch's. Several tasks (lanes) lie side by side; weights are the same for all of them, but
// gradients of weights are kept per lane. Any device, float32 and float64. Derivations: docs/update-rule.md,
// §6.
#include <ATen/ATen.h>

#include <cstdint>

namespace outerloop::rule::reference {

using at::Tensor;

/// [lanes, outer, inner] with the channels innermost, seen as rows: tensors below are [lanes * outer * inner,
/// channels], contiguous.
struct Grid {
  std::int64_t lanes = 0, outer = 0, inner = 0;

  std::int64_t rows() const { return outer * inner; }  ///< of one lane
  std::int64_t all() const { return lanes * rows(); }
};

/// Along which axis of a grid a convolution runs: `inner` is one row further, `outer` grid.inner rows.
enum class Axis { outer, inner };

/// Batch norm's epsilon in the update network.
constexpr double kBatchNormEpsilon = 1e-3;

/// What a convolution of `taps` along an axis multiplies: x [rows, in] itself along the outer axis, where
/// neighbours are whole lines apart; along the inner one the windows, side by side [rows, taps * in], with
/// zeros where a line ends.
Tensor convolution_input(const Grid& grid, const Tensor& x, std::int64_t taps, Axis axis);

/// [rows, out]: cross-correlation with zero padding. `input`: convolution_input. w [taps, in, out], an odd
/// number of taps. `start` is added where it is defined, and becomes the result.
Tensor convolve(const Grid& grid, const Tensor& input, const Tensor& w, Axis axis, const Tensor& start = {});

/// What a convolution's adjoint gives.
struct ConvolutionGradient {
  Tensor dx;  ///< [rows, in], `addend` included
  Tensor dw;  ///< [lanes, taps, in, out]
};
/// `addend`: of a convolution along the outer axis alone.
ConvolutionGradient convolution_gradient(const Grid& grid, const Tensor& input, const Tensor& w,
                                         const Tensor& dy, Axis axis, const Tensor& addend = {});

/// Batch norm of each lane and channel over the lane's rows, biased variance, eps 1e-3, offset beta, no
/// scale.
struct Normalised {
  Tensor centred;  ///< [rows, channels]
  Tensor powers;   ///< [2, lanes, 1, channels]: s and s³, s = 1/sqrt(n (var + eps)), n the rows of a lane
  Tensor out;      ///< [rows, channels]
};

/// Constants that `normalise` needs.
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
