#include "common/rule/reference/blocks.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

namespace outerloop::rule::reference {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;
using Guard = at::AutoDispatchBelowADInplaceOrView;

/// [units, batch, channels] seen as rows.
struct Grid {
  std::int64_t units = 0;
  std::int64_t batch = 0;

  explicit Grid(const Tensor& x) : units(x.size(0)), batch(x.size(1)) {}
  std::int64_t rows() const { return units * batch; }
  Tensor flat(const Tensor& x) const { return x.contiguous().view({rows(), x.size(2)}); }
  Tensor grid(const Tensor& x) const { return x.view({units, batch, x.size(-1)}); }
};

// Views of contiguous tensors in one dispatch each: narrow, select and t take up to three, and at small sizes
// a truncation spends much of its time there.

/// Rows first .. first + count - 1 of [rows, channels].
Tensor row_range(const Tensor& x, std::int64_t first, std::int64_t count) {
  const std::int64_t channels = x.size(1);
  return x.as_strided({count, channels}, {channels, 1}, x.storage_offset() + first * channels);
}

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

/// The rows whose neighbour `shift` places further along the batch lies outside, as [units, |shift|,
/// channels].
Tensor border_rows(const Grid& grid, const Tensor& rows, std::int64_t shift) {
  const std::int64_t first = shift < 0 ? 0 : grid.batch - shift;
  const std::int64_t channels = rows.size(1);
  return rows.as_strided({grid.units, std::abs(shift), channels}, {grid.batch * channels, channels, 1},
                         rows.storage_offset() + first * channels);
}

/// The range of rows r for which row r + shift exists.
struct Range {
  std::int64_t first, count;
  Range(std::int64_t rows, std::int64_t shift)
      : first(std::max<std::int64_t>(0, -shift)), count(rows - std::abs(shift)) {}
};

/// out[r] += x[neighbour of r] w, where that neighbour exists. out, x: rows of the grid.
void add_tap(const Grid& grid, const Tensor& out, const Tensor& x, const Tensor& w, std::int64_t shift,
             Axis axis) {
  const std::int64_t extent = axis == Axis::units ? grid.units : grid.batch;
  if (std::abs(shift) >= extent) return;
  if (shift == 0) {
    out.addmm_(x, w);
    return;
  }
  const std::int64_t row_shift = axis == Axis::units ? shift * grid.batch : shift;
  const Range range(grid.rows(), row_shift);
  Tensor border, kept;
  if (axis == Axis::batch) {
    // The product runs over the seams between units as well; what it adds there is taken back.
    border = border_rows(grid, out, shift);
    kept = border.clone();
  }
  row_range(out, range.first, range.count).addmm_(row_range(x, range.first + row_shift, range.count), w);
  if (axis == Axis::batch) border.copy_(kept);
}

/// Σ_r x[neighbour of r]ᵀ dy[r] into dw. dy is changed on the way and restored.
void tap_weight_gradient(const Grid& grid, const Tensor& dw, const Tensor& x, const Tensor& dy,
                         std::int64_t shift, Axis axis) {
  const std::int64_t extent = axis == Axis::units ? grid.units : grid.batch;
  if (std::abs(shift) >= extent) {
    dw.zero_();
    return;
  }
  const std::int64_t row_shift = axis == Axis::units ? shift * grid.batch : shift;
  const Range range(grid.rows(), row_shift);
  Tensor border, kept;
  if (axis == Axis::batch && shift != 0) {
    border = border_rows(grid, dy, shift);
    kept = border.clone();
    border.zero_();
  }
  Tensor result = dw;
  at::mm_out(result, row_range(x, range.first + row_shift, range.count).t(),
             row_range(dy, range.first, range.count));
  if (border.defined()) border.copy_(kept);
}

/// All taps but the middle one, which the caller has written.
void add_outer_taps(const Grid& grid, const Tensor& out, const Tensor& x, const Tensor& w, Axis axis) {
  const std::int64_t half = w.size(0) / 2;
  for (std::int64_t shift = -half; shift <= half; ++shift)
    if (shift != 0) add_tap(grid, out, x, matrix(w, shift + half), shift, axis);
}

/// The adjoint of a convolution. forward: y[r] = Σ_s x[r + s] w_s; so dx[r + s] += dy[r] w_sᵀ, dw_s = Σ x[r +
/// s]ᵀ dy[r].
struct ConvolutionGradient {
  Tensor dx;  ///< [rows, channels in], `addend` included
  Tensor dw;  ///< [taps, channels in, channels out]
};

/// `scaled_w` may differ from the forward weights by a factor per channel out that dy leaves out.
ConvolutionGradient convolution_gradient(const Grid& grid, const Tensor& x, const Tensor& scaled_w,
                                         const Tensor& dy, Axis axis, bool needs_dx, const Tensor& addend) {
  ConvolutionGradient gradient;
  const std::int64_t half = scaled_w.size(0) / 2;
  if (needs_dx) {
    const Tensor middle = transposed_matrix(scaled_w, half);
    gradient.dx = addend.defined() ? at::addmm(addend, dy, middle) : at::mm(dy, middle);
    for (std::int64_t shift = -half; shift <= half; ++shift)
      if (shift != 0) add_tap(grid, gradient.dx, dy, transposed_matrix(scaled_w, shift + half), -shift, axis);
  }
  gradient.dw = at::empty_like(scaled_w);
  for (std::int64_t shift = -half; shift <= half; ++shift)
    tap_weight_gradient(grid, matrix(gradient.dw, shift + half), x, dy, shift, axis);
  return gradient;
}

/// Batch norm's statistics: y is centred in place; 1/sqrt(n (var + eps)), n rows, is returned. Factors of n
/// and sqrt(n) ride along in products that are made anyway: an operation of its own costs more than its
/// arithmetic.
Tensor centre(const Tensor& y) {
  const auto count = static_cast<double>(y.size(0));
  y.add_(y.sum({0}), -1 / count);
  return at::mul(y, y).sum({0}).add_(count * kBatchNormEpsilon).rsqrt_();
}

Tensor scale_and_shift(const Tensor& centred, const Tensor& scale, const Tensor& beta) {
  return at::addcmul(beta, centred, scale, std::sqrt(static_cast<double>(centred.size(0))));
}

/// rstd of every channel out of what `centre` returned.
Tensor full_scale(const Tensor& scale, std::int64_t rows) {
  return scale * std::sqrt(static_cast<double>(rows));
}

/// forward: out = c * rstd + beta, c centred; so dy = rstd * (dout - mean(dout) - c * rstd² * mean(dout *
/// c)), and rstd² / n = scale². dout becomes dy / rstd in place; dbeta = Σ dout is returned.
Tensor batch_norm_gradient(const Tensor& dout, const Tensor& centred, const Tensor& scale) {
  const Tensor dbeta = dout.sum({0});
  const Tensor slope = at::mul(dout, centred).sum({0}).mul_(scale).mul_(scale);
  dout.addcmul_(centred, slope, -1).add_(dbeta, -1 / static_cast<double>(dout.size(0)));
  return dbeta;
}

/// What the adjoint of conv_bn_relu needs.
struct Saved {
  Tensor x, w, centred, scale, out;
};

/// The sum over those taps whose neighbour exists, for every place along the batch.
void write_constant(const Grid& grid, const Tensor& y, const Tensor& constant) {
  const auto taps = constant.view({grid.units, 3, -1}).unbind(1);
  const Tensor rows = grid.grid(y);
  if (grid.batch == 1) {
    rows.select(1, 0).copy_(taps[1]);
    return;
  }
  const Tensor last = taps[0] + taps[1];
  rows.copy_((last + taps[2]).unsqueeze(1));
  rows.select(1, 0).copy_(taps[1] + taps[2]);
  rows.select(1, grid.batch - 1).copy_(last);
}

Tensor constant_gradient(const Grid& grid, const Tensor& dy) {
  const Tensor rows = grid.grid(dy);
  const auto middle = rows.sum({1});
  return at::cat({middle - rows.select(1, 0), middle, middle - rows.select(1, grid.batch - 1)}, 1);
}

Saved forward_block(const Grid& grid, const Tensor& x, const Tensor& w, const Tensor& beta, Axis axis,
                    const Tensor& constant) {
  const Tensor middle = matrix(w, w.size(0) / 2);
  Tensor y;
  if (constant.defined()) {
    y = at::empty({grid.rows(), w.size(2)}, x.options());
    write_constant(grid, y, constant);
    y.addmm_(x, middle);
  } else {
    y = at::mm(x, middle);
  }
  add_outer_taps(grid, y, x, w, axis);
  const Tensor scale = centre(y);
  return {x, w, y, scale, scale_and_shift(y, scale, beta).relu_()};
}

struct BlockGradient {
  Tensor dx, dw, dbeta, dconstant;
};

BlockGradient backward_block(const Grid& grid, const Saved& saved, const Tensor& dout, Axis axis,
                             bool needs_dx, bool has_constant, const Tensor& addend) {
  BlockGradient gradient;
  const Tensor dy = at::threshold_backward(dout, saved.out, 0);
  gradient.dbeta = batch_norm_gradient(dy, saved.centred, saved.scale);
  // dy lacks the factor rstd per channel: the small tensors take it instead.
  const Tensor rstd = full_scale(saved.scale, grid.rows());
  auto conv = convolution_gradient(grid, saved.x, saved.w * rstd, dy, axis, needs_dx, addend);
  gradient.dx = conv.dx;
  gradient.dw = conv.dw.mul_(rstd);
  if (has_constant) gradient.dconstant = constant_gradient(grid, dy).mul_(rstd.repeat({3}));
  return gradient;
}

struct ConvBnRelu : Function<ConvBnRelu> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& w, const Tensor& beta,
                        const Tensor& constant, std::int64_t axis) {
    const bool needs_dx = x.requires_grad();
    const Guard guard;
    const Grid grid(x);
    const bool has_constant = constant.numel() > 0;
    const Saved s = forward_block(grid, grid.flat(x), w, beta, static_cast<Axis>(axis),
                                  has_constant ? constant : Tensor());
    const Tensor out = grid.grid(s.out);
    ctx->save_for_backward({x, w, s.centred, s.scale, out});
    ctx->saved_data["axis"] = axis;
    ctx->saved_data["needs_dx"] = needs_dx;
    ctx->saved_data["has_constant"] = has_constant;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto saved = ctx->get_saved_variables();
    const Guard guard;
    const Grid grid(saved[0]);
    const Saved s{grid.flat(saved[0]), saved[1], saved[2], saved[3], grid.flat(saved[4])};
    const auto axis = static_cast<Axis>(ctx->saved_data["axis"].toInt());
    const auto g = backward_block(grid, s, grid.flat(dout[0]), axis, ctx->saved_data["needs_dx"].toBool(),
                                  ctx->saved_data["has_constant"].toBool(), {});
    return {g.dx.defined() ? grid.grid(g.dx) : Tensor(), g.dw, g.dbeta, g.dconstant, {}};
  }
};

struct UnitBlock : Function<UnitBlock> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& w0, const Tensor& beta0,
                        const Tensor& w1, const Tensor& beta1) {
    const Guard guard;
    const Grid grid(x);
    const Tensor rows = grid.flat(x);
    const Saved a = forward_block(grid, rows, w0, beta0, Axis::units, {});
    const Saved b = forward_block(grid, a.out, w1, beta1, Axis::units, {});
    ctx->save_for_backward({x, w0, a.centred, a.scale, a.out, w1, b.centred, b.scale, b.out});
    return grid.grid(rows + b.out);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto s = ctx->get_saved_variables();
    const Guard guard;
    const Grid grid(s[0]);
    const Tensor d = grid.flat(dout[0]);
    const auto b = backward_block(grid, {s[4], s[5], s[6], s[7], s[8]}, d, Axis::units, true, false, {});
    const Saved first{grid.flat(s[0]), s[1], s[2], s[3], s[4]};
    const auto a = backward_block(grid, first, b.dx, Axis::units, true, false, d);
    return {grid.grid(a.dx), a.dw, a.dbeta, b.dw, b.dbeta};
  }
};

struct Convolution : Function<Convolution> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& w, const Tensor& bias) {
    const Guard guard;
    const Grid grid(x);
    const Tensor rows = grid.flat(x);
    const Tensor y = at::addmm(bias, rows, matrix(w, w.size(0) / 2));
    add_outer_taps(grid, y, rows, w, Axis::batch);
    ctx->save_for_backward({x, w});
    return grid.grid(y);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto s = ctx->get_saved_variables();
    const Guard guard;
    const Grid grid(s[0]);
    const Tensor dy = grid.flat(dout[0]).clone();
    const auto g = convolution_gradient(grid, grid.flat(s[0]), s[1], dy, Axis::batch, true, {});
    return {grid.grid(g.dx), g.dw, dy.sum({0})};
  }
};

struct BatchNorm : Function<BatchNorm> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& beta) {
    const Guard guard;
    const Grid grid(x);
    const Tensor centred = grid.flat(x).clone();
    const Tensor scale = centre(centred);
    ctx->save_for_backward({centred, scale});
    return scale_and_shift(centred, scale, beta).view(x.sizes());
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto s = ctx->get_saved_variables();
    const Guard guard;
    const Tensor dx = dout[0].contiguous().view(s[0].sizes()).clone();
    const Tensor dbeta = batch_norm_gradient(dx, s[0], s[1]);
    return {dx.mul_(full_scale(s[1], dx.size(0))).view(dout[0].sizes()), dbeta};
  }
};

}  // namespace

Tensor conv_bn_relu(const Tensor& x, const ConvolutionBlock& block, Axis axis, const Tensor& constant) {
  // A node of the graph takes no undefined tensors.
  const Tensor given = constant.defined() ? constant : at::empty({0}, x.options().requires_grad(false));
  return ConvBnRelu::apply(x, block.w.contiguous(), block.beta, given, static_cast<std::int64_t>(axis));
}

Tensor unit_block(const Tensor& x, const ConvolutionBlock& first, const ConvolutionBlock& second) {
  return UnitBlock::apply(x, first.w.contiguous(), first.beta, second.w.contiguous(), second.beta);
}

Tensor convolution(const Tensor& x, const Tensor& w, const Tensor& bias) {
  return Convolution::apply(x, w.contiguous(), bias);
}

Tensor batch_norm(const Tensor& x, const Tensor& beta) { return BatchNorm::apply(x, beta); }

}  // namespace outerloop::rule::reference
