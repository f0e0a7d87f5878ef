#include "common/rule/reference/blocks.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace outerloop::rule::reference {
namespace {

// Views of contiguous tensors in one dispatch each. narrow, select and t take up to three, which costs much
// of a truncation's time at small sizes.

/// Matrix i of [n, rows, columns].
Tensor matrix(const Tensor& w, std::int64_t i) {
  const std::int64_t rows = w.size(1), columns = w.size(2);
  return w.as_strided({rows, columns}, {columns, 1}, w.storage_offset() + i * rows * columns);
}

/// Transpose of matrix i.
Tensor transposed_matrix(const Tensor& w, std::int64_t i) {
  const std::int64_t rows = w.size(1), columns = w.size(2);
  return w.as_strided({columns, rows}, {1, columns}, w.storage_offset() + i * rows * columns);
}

/// The rows r of a lane for which row r + `lines` exists.
struct Range {
  std::int64_t shift, first, count;
  Range(const Grid& grid, std::int64_t lines)
      : shift(lines * grid.inner),
        first(std::max<std::int64_t>(0, -shift)),
        count(grid.rows() - std::abs(shift)) {}
};

/// out[r] += x[r + `lines`] w, where that row exists. Lanes are multiplied separately: non-finite numbers of
/// one lane must not reach another.
void add_tap(const Grid& grid, const Tensor& out, const Tensor& x, const Tensor& w, std::int64_t lines) {
  const Range range(grid, lines);
  if (range.count <= 0) return;
  const Tensor shared = w.expand({grid.lanes, w.size(0), w.size(1)});
  lane_rows(grid, out, range.first, range.count)
      .baddbmm_(lane_rows(grid, x, range.first + range.shift, range.count), shared);
}

/// dw [lanes, in, out] = Σ_r x[r + `lines`]ᵀ dy[r] of every lane.
void tap_weight_gradient(const Grid& grid, Tensor dw, const Tensor& x, const Tensor& dy, std::int64_t lines) {
  const Range range(grid, lines);
  if (range.count <= 0) {
    dw.zero_();
    return;
  }
  at::bmm_out(dw, lane_rows(grid, x, range.first + range.shift, range.count).transpose(1, 2),
              lane_rows(grid, dy, range.first, range.count));
}

/// Sums over the windows that contain a place: the adjoint of the windows in convolution_input. dcolumns
/// [rows, taps * in] → [rows, in].
Tensor fold_columns(const Grid& grid, const Tensor& dcolumns, std::int64_t taps) {
  const std::int64_t lines = grid.lanes * grid.outer, in = dcolumns.size(1) / taps, window = taps * in;
  const Tensor padded = at::zeros({lines, grid.inner + taps - 1, window}, dcolumns.options());
  padded.narrow(1, taps / 2, grid.inner).copy_(dcolumns.view({lines, grid.inner, window}));
  // Place i is tap j of window i + taps / 2 - j; with j counted from the end all strides are positive.
  return padded
      .as_strided({lines, grid.inner, taps, in}, {padded.stride(0), window, window - in, 1}, window - in)
      .sum({2})
      .view({grid.all(), in});
}

}  // namespace

Tensor lane_rows(const Grid& grid, const Tensor& x, std::int64_t first, std::int64_t count) {
  const std::int64_t channels = x.size(1);
  return x.as_strided({grid.lanes, count, channels}, {grid.rows() * channels, channels, 1},
                      x.storage_offset() + first * channels);
}

Tensor convolution_input(const Grid& grid, const Tensor& x, std::int64_t taps, Axis axis) {
  if (axis == Axis::outer) return x;
  const std::int64_t lines = grid.lanes * grid.outer, in = x.size(1);
  const Tensor padded = at::zeros({lines, grid.inner + taps - 1, in}, x.options());
  padded.narrow(1, taps / 2, grid.inner).copy_(x.view({lines, grid.inner, in}));
  const Tensor columns = at::empty({lines, grid.inner, taps * in}, x.options());
  columns.copy_(padded.as_strided({lines, grid.inner, taps * in}, {padded.stride(0), in, 1}));
  return columns.view({grid.all(), taps * in});
}

Tensor convolve(const Grid& grid, const Tensor& input, const Tensor& w, Axis axis, const Tensor& start) {
  const std::int64_t taps = w.size(0), half = taps / 2;
  const Tensor middle = axis == Axis::inner ? w.view({taps * w.size(1), w.size(2)}) : matrix(w, half);
  const Tensor y = start.defined() ? start : at::mm(input, middle);
  if (start.defined()) y.addmm_(input, middle);
  for (std::int64_t lines = -half; axis == Axis::outer && lines <= half; ++lines)
    if (lines != 0) add_tap(grid, y, input, matrix(w, lines + half), lines);
  return y;
}

// forward: y[r] = Σ_s x[r + s] w_s; so dx[r + s] += dy[r] w_sᵀ, dw_s = Σ x[r + s]ᵀ dy[r].
ConvolutionGradient convolution_gradient(const Grid& grid, const Tensor& input, const Tensor& w,
                                         const Tensor& dy, Axis axis, const Tensor& addend) {
  ConvolutionGradient gradient;
  const std::int64_t taps = w.size(0), half = taps / 2;
  if (axis == Axis::inner) {
    const Tensor dcolumns = at::mm(dy, w.view({taps * w.size(1), w.size(2)}).t());
    gradient.dx = fold_columns(grid, dcolumns, taps);
    gradient.dw =
        at::bmm(lane_rows(grid, input, 0, grid.rows()).transpose(1, 2), lane_rows(grid, dy, 0, grid.rows()));
    return gradient;
  }
  const Tensor middle = transposed_matrix(w, half);
  gradient.dx = addend.defined() ? at::addmm(addend, dy, middle) : at::mm(dy, middle);
  gradient.dw = at::empty({grid.lanes, w.size(0), w.size(1), w.size(2)}, w.options());
  for (std::int64_t lines = -half; lines <= half; ++lines) {
    if (lines != 0) add_tap(grid, gradient.dx, dy, transposed_matrix(w, lines + half), -lines);
    tap_weight_gradient(grid, gradient.dw.select(1, lines + half), input, dy, lines);
  }
  return gradient;
}

NormConstants::NormConstants(const at::TensorOptions& options)
    : exponents(at::empty({2, 1, 1, 1}, options)), epsilon(at::full({1}, kBatchNormEpsilon, options)) {
  exponents.select(0, 0).fill_(-0.5);
  exponents.select(0, 1).fill_(-1.5);
}

// Factors of n and sqrt(n), and epsilon, are folded into operations that are needed anyway.
Normalised normalise(const Grid& grid, const Tensor& y, const Tensor& beta, const NormConstants& constants,
                     bool with_relu) {
  const auto n = static_cast<double>(grid.rows());
  const Tensor lanes = y.view({grid.lanes, grid.rows(), -1});
  lanes.add_(lanes.sum({1}, true), -1 / n);
  const Tensor squares = at::addcmul(constants.epsilon, lanes, lanes).sum({1}, true);
  Normalised result{y, at::pow(squares.unsqueeze(0), constants.exponents), {}};
  result.out = at::addcmul(beta, lanes, result.powers.select(0, 0), std::sqrt(n)).view(y.sizes());
  if (with_relu) at::threshold_(result.out, 0, 0);
  return result;
}

// forward: out = sqrt(n) c s + beta, c centred, s = (Σ c² + n eps)^(-1/2); so
// dy = sqrt(n) s dout - s Σ dout / sqrt(n) - sqrt(n) c s³ Σ(dout c).
NormGradient normalise_gradient(const Grid& grid, const Normalised& norm, const Tensor& dout,
                                bool with_relu) {
  const auto n = static_cast<double>(grid.rows());
  const std::int64_t channels = dout.size(1);
  const Tensor pair = at::empty({2, grid.all(), channels}, dout.options());
  Tensor masked = pair.select(0, 0), product = pair.select(0, 1);
  if (with_relu)
    at::threshold_backward_out(masked, dout, norm.out, 0);
  else
    masked.copy_(dout);
  at::mul_out(product, masked, norm.centred);
  const Tensor sums =
      pair.view({2, grid.lanes, grid.rows(), channels}).sum({2}, true);  // [2, lanes, 1, channels]
  const Tensor slopes = at::mul(sums, norm.powers);
  const Tensor mean = slopes.select(0, 0).mul_(-1 / std::sqrt(n));
  const Tensor dy = at::addcmul(mean, norm.centred.view({grid.lanes, grid.rows(), channels}),
                                slopes.select(0, 1), -std::sqrt(n));
  dy.addcmul_(masked.view(dy.sizes()), norm.powers.select(0, 0), std::sqrt(n));
  return {dy.view({grid.all(), channels}), sums.select(0, 0).squeeze(1)};
}

}  // namespace outerloop::rule::reference
