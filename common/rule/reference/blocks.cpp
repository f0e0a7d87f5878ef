#include "common/rule/reference/blocks.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace outerloop::rule::reference {
namespace {

// Views of contiguous tensors in one dispatch each: narrow, select and t take up to three, and at small sizes
// a truncation spends much of its time there.

/// Matrix i of [n, rows, columns].
Tensor matrix(const Tensor& w, std::int64_t i) {
  const std::int64_t rows = w.size(1), columns = w.size(2);
  return w.as_strided({rows, columns}, {columns, 1}, w.storage_offset() + i * rows * columns);
}

/// Its transpose.
Tensor transposed_matrix(const Tensor& w, std::int64_t i) {
  const std::int64_t rows = w.size(1), columns = w.size(2);
  return w.as_strided({columns, rows}, {1, columns}, w.storage_offset() + i * rows * columns);
}

/// Row `place` of the lines first, first + 1, ... along the inner axis of every lane: [lanes, outer - 1,
/// channels].
Tensor lane_seams(const Grid& grid, const Tensor& x, std::int64_t first, std::int64_t place) {
  const std::int64_t channels = x.size(1);
  return x.as_strided({grid.lanes, grid.outer - 1, channels},
                      {grid.rows() * channels, grid.inner * channels, 1},
                      x.storage_offset() + (first * grid.inner + place) * channels);
}

/// A product that runs over all rows of a lane with a shift of one crosses the seams between lines: there it
/// adds what does not belong. Those rows of the output and of the input. No product crosses from one lane to
/// another: what is not finite there would not cancel.
struct Seam {
  std::int64_t out_line, out_place, in_line, in_place;
  Seam(const Grid& grid, std::int64_t shift)
      : out_line(shift < 0 ? 1 : 0),
        out_place(shift < 0 ? 0 : grid.inner - 1),
        in_line(shift < 0 ? 0 : 1),
        in_place(shift < 0 ? grid.inner - 1 : 0) {}
};

/// Whether any row has a neighbour `shift` places further.
bool reaches(const Grid& grid, std::int64_t shift, Axis axis) {
  return std::abs(shift) < (axis == Axis::outer ? grid.outer : grid.inner);
}

/// The rows r of a lane for which row r + shift exists.
struct Range {
  std::int64_t shift, first, count;
  Range(const Grid& grid, std::int64_t places, Axis axis)
      : shift(axis == Axis::outer ? places * grid.inner : places),
        first(std::max<std::int64_t>(0, -shift)),
        count(grid.rows() - std::abs(shift)) {}
};

/// Whether products along this axis have seams to take back.
bool has_seams(const Grid& grid, std::int64_t shift, Axis axis) {
  return axis == Axis::inner && shift != 0 && grid.outer > 1;
}

/// out[r] += x[neighbour of r] w, where that neighbour exists.
void add_tap(const Grid& grid, const Tensor& out, const Tensor& x, const Tensor& w, std::int64_t shift,
             Axis axis) {
  if (!reaches(grid, shift, axis)) return;
  const Range range(grid, shift, axis);
  const Tensor shared = w.expand({grid.lanes, w.size(0), w.size(1)});
  lane_rows(grid, out, range.first, range.count)
      .baddbmm_(lane_rows(grid, x, range.first + range.shift, range.count), shared);
  if (!has_seams(grid, shift, axis)) return;
  const Seam seam(grid, shift);
  lane_seams(grid, out, seam.out_line, seam.out_place)
      .baddbmm_(lane_seams(grid, x, seam.in_line, seam.in_place), shared, 1, -1);
}

/// Σ_r x[neighbour of r]ᵀ dy[r] of every lane into dw [lanes, in, out].
void tap_weight_gradient(const Grid& grid, Tensor dw, const Tensor& x, const Tensor& dy, std::int64_t shift,
                         Axis axis) {
  if (!reaches(grid, shift, axis)) {
    dw.zero_();
    return;
  }
  const Range range(grid, shift, axis);
  at::bmm_out(dw, lane_rows(grid, x, range.first + range.shift, range.count).transpose(1, 2),
              lane_rows(grid, dy, range.first, range.count));
  if (!has_seams(grid, shift, axis)) return;
  const Seam seam(grid, shift);
  dw.baddbmm_(lane_seams(grid, x, seam.in_line, seam.in_place).transpose(1, 2),
              lane_seams(grid, dy, seam.out_line, seam.out_place), 1, -1);
}

}  // namespace

Tensor lane_rows(const Grid& grid, const Tensor& x, std::int64_t first, std::int64_t count) {
  const std::int64_t channels = x.size(1);
  return x.as_strided({grid.lanes, count, channels}, {grid.rows() * channels, channels, 1},
                      x.storage_offset() + first * channels);
}

Tensor convolve(const Grid& grid, const Tensor& x, const Tensor& w, Axis axis, const Tensor& start) {
  const std::int64_t half = w.size(0) / 2;
  const Tensor y = start.defined() ? start : at::mm(x, matrix(w, half));
  if (start.defined()) y.addmm_(x, matrix(w, half));
  for (std::int64_t shift = -half; shift <= half; ++shift)
    if (shift != 0) add_tap(grid, y, x, matrix(w, shift + half), shift, axis);
  return y;
}

// forward: y[r] = Σ_s x[r + s] w_s; so dx[r + s] += dy[r] w_sᵀ, dw_s = Σ x[r + s]ᵀ dy[r].
ConvolutionGradient convolution_gradient(const Grid& grid, const Tensor& x, const Tensor& w, const Tensor& dy,
                                         Axis axis, const Tensor& addend) {
  ConvolutionGradient gradient;
  const std::int64_t half = w.size(0) / 2;
  const Tensor middle = transposed_matrix(w, half);
  gradient.dx = addend.defined() ? at::addmm(addend, dy, middle) : at::mm(dy, middle);
  gradient.dw = at::empty({grid.lanes, w.size(0), w.size(1), w.size(2)}, w.options());
  for (std::int64_t shift = -half; shift <= half; ++shift) {
    if (shift != 0) add_tap(grid, gradient.dx, dy, transposed_matrix(w, shift + half), -shift, axis);
    tap_weight_gradient(grid, gradient.dw.select(1, shift + half), x, dy, shift, axis);
  }
  return gradient;
}

Tensor norm_exponents(const at::TensorOptions& options) {
  const Tensor exponents = at::empty({2, 1, 1, 1}, options);
  exponents.select(0, 0).fill_(-0.5);
  exponents.select(0, 1).fill_(-1.5);
  return exponents;
}

// Factors of n and sqrt(n) ride along in operations that are made anyway.
Normalised normalise(const Grid& grid, const Tensor& y, const Tensor& beta, const Tensor& exponents,
                     bool with_relu) {
  const auto n = static_cast<double>(grid.rows());
  const Tensor lanes = y.view({grid.lanes, grid.rows(), -1});
  lanes.add_(lanes.sum({1}, true), -1 / n);
  const Tensor squares = at::mul(lanes, lanes).sum({1}, true).add_(n * kBatchNormEpsilon);
  Normalised result{y, at::pow(squares.unsqueeze(0), exponents), {}};
  result.out = at::addcmul(beta, lanes, result.powers.select(0, 0), std::sqrt(n)).view(y.sizes());
  if (with_relu) result.out.relu_();
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
