#include "common/rule/reference/blocks.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <tuple>
#include <vector>

namespace outerloop::rule::reference {
namespace {

// Views of tensors in one dispatch each. narrow, select and t take up to three, which costs much of a
// truncation's time at small sizes.

/// Places first .. first + count - 1 of every channel: [lanes, channels, count].
Tensor places(const Tensor& x, std::int64_t first, std::int64_t count) {
  return x.as_strided({x.size(0), x.size(1), count}, x.strides(), x.storage_offset() + first);
}

/// The places r for which place r + shift exists, `lines` lines further.
struct Range {
  std::int64_t shift, first, count;
  Range(const Grid& grid, std::int64_t lines)
      : shift(lines * grid.inner),
        first(std::max<std::int64_t>(0, -shift)),
        count(grid.places() - std::abs(shift)) {}
};

using GroupNorm = std::tuple<Tensor, Tensor, Tensor>;

/// Out, mean and rstd of groups of one channel. LibTorch 1.13 lacks this kernel on its meta device; there
/// only the call is recorded.
GroupNorm group_norm(const Tensor& y, const Tensor& beta) {
  const std::int64_t lanes = y.size(0), channels = y.size(1);
  if (!y.is_meta())
    return at::native_group_norm(y, {}, beta, lanes, channels, y.size(2), channels, kBatchNormEpsilon);
  RECORD_FUNCTION("aten::native_group_norm", std::vector<c10::IValue>({y, beta}));
  return {at::empty_like(y), at::empty({lanes, channels}, y.options()),
          at::empty({lanes, channels}, y.options())};
}

/// dy and dbeta. Lanes are seen as further channels, so that each has its own dbeta.
std::tuple<Tensor, Tensor> group_norm_gradient(const Tensor& dout, const Normalised& norm,
                                               const Tensor& ones) {
  const std::int64_t channels = dout.size(0) * dout.size(1), places = dout.size(2);
  if (!dout.is_meta()) {
    auto gradient = at::native_group_norm_backward(
        dout, norm.input, norm.mean.view({1, channels}), norm.rstd.view({1, channels}),
        ones.as_strided({channels}, {1}), 1, channels, places, channels, {true, false, true});
    return {std::get<0>(gradient), std::get<2>(gradient)};
  }
  RECORD_FUNCTION("aten::native_group_norm_backward", std::vector<c10::IValue>({dout, norm.input}));
  return {at::empty_like(dout), at::empty({channels}, dout.options())};
}

}  // namespace

Tensor shared_matrix(const Tensor& w, std::int64_t i, std::int64_t lanes) {
  const std::int64_t rows = w.size(1), columns = w.size(2);
  return w.as_strided({lanes, rows, columns}, {0, columns, 1}, w.storage_offset() + i * rows * columns);
}

Tensor shared_transpose(const Tensor& w, std::int64_t i, std::int64_t lanes) {
  const std::int64_t rows = w.size(1), columns = w.size(2);
  return w.as_strided({lanes, columns, rows}, {0, 1, columns}, w.storage_offset() + i * rows * columns);
}

// Each lane is a product of its own: non-finite numbers of one lane must not reach another.

Tensor convolve_outer(const Grid& grid, const Tensor& x, const Tensor& w) {
  const std::int64_t half = w.size(0) / 2;
  const Tensor y = at::bmm(shared_transpose(w, half, grid.lanes), x);
  for (std::int64_t lines = -half; lines <= half; ++lines) {
    const Range range(grid, lines);
    if (lines == 0 || range.count <= 0) continue;
    places(y, range.first, range.count)
        .baddbmm_(shared_transpose(w, half + lines, grid.lanes),
                  places(x, range.first + range.shift, range.count));
  }
  return y;
}

// forward: y[r] = Σ_s x[r + s] w_s; so dx[r + s] += dy[r] w_sᵀ, dw_s = Σ x[r + s]ᵀ dy[r].
ConvolutionGradient outer_gradient(const Grid& grid, const Tensor& x, const Tensor& w, const Tensor& dy,
                                   const Tensor& addend) {
  const std::int64_t half = w.size(0) / 2;
  const Tensor middle = shared_matrix(w, half, grid.lanes);
  ConvolutionGradient gradient;
  gradient.dx = addend.defined() ? at::baddbmm(addend, middle, dy) : at::bmm(middle, dy);
  gradient.dw = at::empty({grid.lanes, w.size(0), w.size(1), w.size(2)}, w.options());
  for (std::int64_t lines = -half; lines <= half; ++lines) {
    const Range range(grid, lines);
    Tensor dw = gradient.dw.select(1, half + lines);
    if (range.count <= 0) {
      dw.zero_();
      continue;
    }
    const Tensor dy_there = places(dy, range.first, range.count);
    at::bmm_out(dw, places(x, range.first + range.shift, range.count), dy_there.transpose(1, 2));
    if (lines != 0)
      places(gradient.dx, range.first + range.shift, range.count)
          .baddbmm_(shared_matrix(w, half + lines, grid.lanes), dy_there);
  }
  return gradient;
}

Padded::Padded(const Grid& grid, std::int64_t channels, std::int64_t taps, const at::TensorOptions& options)
    : whole(at::zeros({grid.lanes, channels, grid.outer, grid.inner + taps - 1}, options)),
      interior(whole.narrow(3, taps / 2, grid.inner)) {}

Tensor windows(const Grid& grid, const Padded& padded, std::int64_t taps) {
  const Tensor& x = padded.whole;
  const std::int64_t channels = x.size(1);
  const Tensor all = at::empty({grid.lanes, taps, channels, grid.outer, grid.inner}, x.options());
  all.copy_(x.as_strided(all.sizes(), {x.stride(0), 1, x.stride(1), x.stride(2), 1}));
  return all.view({grid.lanes, taps * channels, grid.places()});
}

Tensor convolve_inner(const Tensor& windows, const Tensor& w, const Tensor& start) {
  const Tensor joined = shared_transpose(w.view({1, w.size(0) * w.size(1), w.size(2)}), 0, windows.size(0));
  return start.defined() ? start.baddbmm_(joined, windows) : at::bmm(joined, windows);
}

ConvolutionGradient inner_gradient(const Grid& grid, const Tensor& windows, const Tensor& w,
                                   const Tensor& dy) {
  const std::int64_t taps = w.size(0), in = w.size(1), half = taps / 2;
  const Tensor joined = shared_matrix(w.view({1, taps * in, w.size(2)}), 0, grid.lanes);
  ConvolutionGradient gradient;
  gradient.dw = at::bmm(windows, dy.transpose(1, 2));
  const Tensor dwindows = at::bmm(joined, dy).view({grid.lanes, taps, in, grid.outer, grid.inner});
  const Tensor dx = dwindows.select(1, half);
  for (std::int64_t shift = -half; shift <= half; ++shift) {
    const std::int64_t count = grid.inner - std::abs(shift);
    if (shift == 0 || count <= 0) continue;
    const std::int64_t from = std::max<std::int64_t>(0, -shift);
    dx.narrow(3, from + shift, count).add_(dwindows.select(1, half + shift).narrow(3, from, count));
  }
  gradient.dx = dx.view({grid.lanes, in, grid.places()});
  return gradient;
}

Normalised normalise(const Tensor& y, const Tensor& beta, bool with_relu) {
  Normalised result;
  result.input = y;
  std::tie(result.out, result.mean, result.rstd) = group_norm(y, beta);
  if (with_relu) at::threshold_(result.out, 0, 0);
  return result;
}

NormGradient normalise_gradient(const Normalised& norm, const Tensor& dout, const Tensor& ones,
                                bool with_relu) {
  Tensor masked = dout;
  if (with_relu) {
    masked = at::empty(norm.out.sizes(), norm.out.options());
    at::threshold_backward_out(masked, dout, norm.out, 0);
  }
  NormGradient gradient;
  std::tie(gradient.dy, gradient.dbeta) = group_norm_gradient(masked, norm, ones);
  return gradient;
}

}  // namespace outerloop::rule::reference
