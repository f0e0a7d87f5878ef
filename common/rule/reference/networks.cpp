#include "common/rule/reference/networks.h"

#include <ATen/ScalarOps.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <vector>

#include "common/rule/reference/blocks.h"
#include "common/rule/reference/weight_change.h"

namespace outerloop::rule::reference {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;
using Guard = at::AutoDispatchBelowADInplaceOrView;

void keep_plan(AutogradContext* ctx, const NetworkPlan* plan) {
  ctx->saved_data["plan"] = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(plan));
}

const NetworkPlan& plan_of(AutogradContext* ctx) {
  return *reinterpret_cast<const NetworkPlan*>(static_cast<std::intptr_t>(ctx->saved_data["plan"].toInt()));
}

Tensor flat(const Tensor& x) { return x.contiguous().view({-1, x.size(-1)}); }

/// Tensors of one convolution, batch norm and relu that the adjoint needs, besides the weights.
struct Block {
  Tensor input;  ///< convolution_input
  Normalised norm;
};
constexpr std::size_t kPerBlock = 4;

void append(std::vector<Tensor>& list, const Block& block) {
  list.insert(list.end(), {block.input, block.norm.centred, block.norm.powers, block.norm.out});
}

Block block_at(const variable_list& list, std::size_t first) {
  return {list[first], {list[first + 1], list[first + 2], list[first + 3]}};
}

Block forward_block(const NetworkPlan& plan, const Grid& grid, const Tensor& x, const BlockPieces& pieces,
                    const Tensor& theta, Axis axis, const Tensor& start = {}) {
  const Tensor w = pieces.w.of(theta), input = convolution_input(grid, x, w.size(0), axis);
  const Tensor y = convolve(grid, input, w, axis, start);
  return {input, normalise(grid, y, pieces.beta.of(theta), plan.norm, true)};
}

/// Gradients with respect to the pieces of a group, joined in the order of the group.
class PieceGradients {
 public:
  explicit PieceGradients(std::int64_t lanes) : lanes_(lanes) {}
  /// Called from the last piece of the group to the first.
  void prepend(const Tensor& gradient) { pieces_.insert(pieces_.begin(), gradient.reshape({lanes_, -1})); }
  Tensor joined() const { return at::cat(pieces_, 1); }

 private:
  std::int64_t lanes_;
  std::vector<Tensor> pieces_;
};

struct BlockGradient {
  Tensor dx;
  Tensor dy;  ///< with respect to the convolution's output
};

BlockGradient backward_block(const Grid& grid, const Block& block, const Tensor& dout,
                             const BlockPieces& pieces, const Tensor& theta, Axis axis,
                             PieceGradients& gradients, const Tensor& addend = {}) {
  const auto norm = normalise_gradient(grid, block.norm, dout, true);
  const auto conv = convolution_gradient(grid, block.input, pieces.w.of(theta), norm.dy, axis, addend);
  gradients.prepend(norm.dbeta);
  gradients.prepend(conv.dw);
  return {conv.dx, norm.dy};
}

// The top network. Rows are (batch, unit), so that convolutions along the batch need no borders; in the
// mixing layers they are (batch, channel), with the units as channels.

/// [S, B + taps - 1, N] with zeros before and after: the windows of a convolution of one channel, as columns.
Tensor windows(const Tensor& padded, std::int64_t taps) {
  const std::int64_t lanes = padded.size(0), units = padded.size(2), batch = padded.size(1) - taps + 1;
  return padded.as_strided({lanes, batch, units, taps}, {padded.stride(0), units, 1, units});
}

/// Σ over windows: the adjoint of `windows`. dcolumns [S * B * N, taps] → [S, N, B].
Tensor fold_windows(const Grid& grid, const Tensor& dcolumns, std::int64_t taps) {
  const std::int64_t half = taps / 2, units = grid.inner, batch = grid.outer;
  const Tensor padded = at::zeros({grid.lanes, batch + 2 * half, units, taps}, dcolumns.options());
  padded.narrow(1, half, batch).copy_(dcolumns.view({grid.lanes, batch, units, taps}));
  // x[b] is tap j of window b + half - j; with j counted from the end all strides are positive.
  const std::int64_t line = units * taps;
  return padded
      .as_strided({grid.lanes, units, batch, taps}, {padded.stride(0), taps, line, line - 1}, taps - 1)
      .sum({3});
}

struct TopNetwork : Function<TopNetwork> {
  static Tensor forward(AutogradContext* ctx, const NetworkPlan* plan, const Tensor& features,
                        const Tensor& theta) {
    const Guard guard;
    const auto& pieces = plan->packed->top();
    const std::int64_t lanes = features.size(0), units = features.size(1), batch = features.size(2);
    const std::int64_t T = plan->size.top_channels, taps = pieces.blocks[0].w.shape[0];
    const Grid by_unit{lanes, batch, units}, by_channel{lanes, batch, T};
    std::vector<Tensor> saved;

    const Tensor padded = at::zeros({lanes, batch + taps - 1, units}, features.options());
    padded.narrow(1, taps / 2, batch).copy_(features.transpose(1, 2));
    const Tensor columns = windows(padded, taps).contiguous().view({by_unit.all(), taps});
    const Tensor y = at::mm(columns, pieces.blocks[0].w.of(theta).view({taps, T}));
    Block block{columns, normalise(by_unit, y, pieces.blocks[0].beta.of(theta), plan->norm, true)};
    append(saved, block);

    Tensor a = swap(block.norm.out, by_unit, T);
    for (std::size_t i = 1; i <= 2; ++i) {
      block = forward_block(*plan, by_channel, a, pieces.blocks[i], theta, Axis::outer);
      append(saved, block);
      a = block.norm.out;
    }
    a = swap(a, by_channel, units);
    for (std::size_t i = 3; i < pieces.blocks.size(); ++i) {
      block = forward_block(*plan, by_unit, a, pieces.blocks[i], theta, Axis::outer);
      append(saved, block);
      a = block.norm.out;
    }
    const Tensor out = convolve(by_unit, a, pieces.out.w.of(theta), Axis::outer);
    saved.insert(saved.end(), {a, theta});
    ctx->save_for_backward(saved);
    keep_plan(ctx, plan);
    // [S, B, N_L, D] → [S, N_L, B, D], adding the bias
    const std::int64_t D = out.size(1);
    const Tensor result = at::empty({lanes, units, batch, D}, out.options());
    Tensor target = result;
    at::add_out(target, out.view({lanes, batch, units, D}).transpose(1, 2), pieces.out.beta.of(theta));
    return result;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto saved = ctx->get_saved_variables();
    const Guard guard;
    const auto& plan = plan_of(ctx);
    const auto& pieces = plan.packed->top();
    const Tensor &theta = saved.back(), &last = saved[saved.size() - 2];
    const std::int64_t lanes = dout[0].size(0), units = dout[0].size(1), batch = dout[0].size(2);
    const std::int64_t T = plan.size.top_channels;
    const Grid by_unit{lanes, batch, units}, by_channel{lanes, batch, T};
    PieceGradients gradients(lanes);

    const Tensor dy = flat(dout[0].transpose(1, 2));
    auto conv = convolution_gradient(by_unit, last, pieces.out.w.of(theta), dy, Axis::outer);
    gradients.prepend(dy.view({lanes, by_unit.rows(), -1}).sum({1}));
    gradients.prepend(conv.dw);
    Tensor d = conv.dx;
    for (std::size_t i = pieces.blocks.size() - 1; i >= 3; --i)
      d = backward_block(by_unit, block_at(saved, kPerBlock * i), d, pieces.blocks[i], theta, Axis::outer,
                         gradients)
              .dx;
    d = swap(d, by_unit, T);
    for (std::size_t i = 2; i >= 1; --i)
      d = backward_block(by_channel, block_at(saved, kPerBlock * i), d, pieces.blocks[i], theta, Axis::outer,
                         gradients)
              .dx;
    d = swap(d, by_channel, units);

    const Block first = block_at(saved, 0);
    const auto norm = normalise_gradient(by_unit, first.norm, d, true);
    const std::int64_t taps = first.input.size(1);
    const Tensor dw = at::bmm(lane_rows(by_unit, first.input, 0, by_unit.rows()).transpose(1, 2),
                              lane_rows(by_unit, norm.dy, 0, by_unit.rows()));
    gradients.prepend(norm.dbeta);
    gradients.prepend(dw);
    const Tensor dcolumns = at::mm(norm.dy, pieces.blocks[0].w.of(theta).view({taps, T}).t());
    return {Tensor(), fold_windows(by_unit, dcolumns, taps), gradients.joined()};
  }

  /// Rows (batch, inner) with `channels` → rows (batch, channel) with the inner index as channel.
  static Tensor swap(const Tensor& x, const Grid& grid, std::int64_t channels) {
    return flat(x.view({grid.lanes * grid.outer, grid.inner, channels}).transpose(1, 2));
  }
};

// Hidden states. Rows are (unit, batch).

/// `product` [S * N, 3 C]: contribution of the inputs that are constant along the batch, per tap. Returns,
/// for every place along the batch, the sum over the taps whose neighbour exists.
Tensor spread_constant(const Grid& grid, const Tensor& product) {
  const std::int64_t lines = grid.lanes * grid.outer, C = product.size(1) / 3;
  const Tensor taps = product.view({lines, 3, C});
  const Tensor y = at::empty({lines, grid.inner, C}, product.options());
  if (grid.inner == 1) {
    y.select(1, 0).copy_(taps.select(1, 1));
  } else {
    y.copy_(taps.sum({1}, true));
    Tensor first = y.select(1, 0), last = y.select(1, grid.inner - 1);
    at::add_out(first, taps.select(1, 1), taps.select(1, 2));
    at::add_out(last, taps.select(1, 0), taps.select(1, 1));
  }
  return y.view({grid.all(), C});
}

Tensor constant_gradient(const Grid& grid, const Tensor& dy) {
  const std::int64_t lines = grid.lanes * grid.outer, C = dy.size(1);
  const Tensor rows = dy.view({lines, grid.inner, C});
  const Tensor taps = at::empty({lines, 3, C}, dy.options());
  taps.copy_(rows.sum({1}, true));
  taps.select(1, 0).sub_(rows.select(1, 0));
  taps.select(1, 2).sub_(rows.select(1, grid.inner - 1));
  return taps.view({lines, 3 * C});
}

struct HiddenNetwork : Function<HiddenNetwork> {
  static Tensor forward(AutogradContext* ctx, const NetworkPlan* plan, const Tensor& x, const Tensor& z,
                        const Tensor& d, const Tensor& constant, const Tensor& identity,
                        const Tensor& theta) {
    const Guard guard;
    const auto& pieces = plan->packed->hidden();
    const std::int64_t lanes = x.size(0), units = x.size(1), batch = x.size(2);
    const Grid grid{lanes, units, batch};
    std::vector<Tensor> saved;

    const Tensor varying = at::cat({x.unsqueeze(3), z.unsqueeze(3), d}, 3).view({grid.all(), -1});
    const auto features = normalise(grid, varying, pieces.beta_varying.of(theta), plan->norm, false);
    const Tensor known = at::cat({constant, identity.expand({lanes, units, 2})}, 2);
    const Tensor product = at::mm(known.view({lanes * units, -1}), pieces.in_constant.of(theta));
    saved.insert(saved.end(), {theta, known, features.centred, features.powers});

    Tensor a = features.out;
    for (std::size_t i = 0; i < pieces.blocks.size(); i += 3) {
      const Tensor start = i == 0 ? spread_constant(grid, product) : Tensor();
      const Block in = forward_block(*plan, grid, a, pieces.blocks[i], theta, Axis::inner, start);
      const Block u0 = forward_block(*plan, grid, in.norm.out, pieces.blocks[i + 1], theta, Axis::outer);
      const Block u1 = forward_block(*plan, grid, u0.norm.out, pieces.blocks[i + 2], theta, Axis::outer);
      for (const auto* block : {&in, &u0, &u1}) append(saved, *block);
      a = in.norm.out + u1.norm.out;
    }
    ctx->save_for_backward(saved);
    keep_plan(ctx, plan);
    return a.view({lanes, units, batch, -1});
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto saved = ctx->get_saved_variables();
    const Guard guard;
    const auto& plan = plan_of(ctx);
    const auto& pieces = plan.packed->hidden();
    const Tensor &theta = saved[0], &known = saved[1];
    const Grid grid{dout[0].size(0), dout[0].size(1), dout[0].size(2)};
    PieceGradients gradients(grid.lanes);

    Tensor d = flat(dout[0]), dconstant;
    for (std::size_t i = pieces.blocks.size(); i > 0;) {
      i -= 3;
      const std::size_t first = 4 + kPerBlock * i;
      const auto u1 = backward_block(grid, block_at(saved, first + 2 * kPerBlock), d, pieces.blocks[i + 2],
                                     theta, Axis::outer, gradients);
      const auto u0 = backward_block(grid, block_at(saved, first + kPerBlock), u1.dx, pieces.blocks[i + 1],
                                     theta, Axis::outer, gradients, d);
      const auto in = backward_block(grid, block_at(saved, first), u0.dx, pieces.blocks[i], theta,
                                     Axis::inner, gradients);
      if (i == 0) dconstant = constant_gradient(grid, in.dy);
      d = in.dx;
    }
    const Tensor dknown = at::mm(dconstant, pieces.in_constant.of(theta).t()).view(known.sizes());
    gradients.prepend(at::bmm(known.transpose(1, 2), dconstant.view({grid.lanes, grid.outer, -1})));
    gradients.prepend(dknown.narrow(2, 9, 2).sum({1}));
    const auto features = normalise_gradient(grid, {saved[2], saved[3], {}}, d, false);
    gradients.prepend(features.dbeta);
    const Tensor dvarying = features.dy.view({grid.lanes, grid.outer, grid.inner, -1});
    return {Tensor(),
            dvarying.select(3, 0),
            dvarying.select(3, 1),
            dvarying.narrow(3, 2, dvarying.size(3) - 2),
            dknown.narrow(2, 0, 9),
            Tensor(),
            gradients.joined()};
  }
};

struct ReadHidden : Function<ReadHidden> {
  /// Rows of `w` that a layer of these roles uses: first and count, without the row of bias.w.
  struct Used {
    std::int64_t G, first, readouts, rows;
    std::vector<std::int64_t> counts;  ///< readouts of each role and matrix, in order
    Used(const NetworkPlan& plan, bool upper, bool lower) : G(plan.size.readout_channels) {
      const auto& pieces = plan.packed->read();
      first = lower ? 0 : pieces.lower * G;
      readouts = (lower ? pieces.lower : 0) + (upper ? pieces.upper : 0);
      rows = readouts * G;
      for (std::int64_t i = 0; lower && i < pieces.lower; i += kLowerReadouts)
        counts.push_back(kLowerReadouts);
      for (std::int64_t i = 0; upper && i < pieces.upper; i += kUpperReadouts)
        counts.push_back(kUpperReadouts);
    }
  };

  static double scale(const NetworkPlan& plan, const Tensor& h) {
    return 1 / std::sqrt(static_cast<double>(plan.size.readout_channels * h.size(2)));
  }

  static variable_list forward(AutogradContext* ctx, const NetworkPlan* plan, const Tensor& h,
                               const Tensor& theta, bool upper, bool lower) {
    const Guard guard;
    const auto& pieces = plan->packed->read();
    const std::int64_t lanes = h.size(0), units = h.size(1), batch = h.size(2);
    const Used used(*plan, upper, lower);
    const Tensor rows_h = flat(h);
    const double factor = scale(*plan, h);
    const auto& scaled = plan->scaled_readouts(theta, factor, 1 / static_cast<double>(batch));
    const Tensor w = scaled.w.narrow(0, used.first, used.rows + (upper ? 1 : 0));
    const Tensor r = at::mm(w, rows_h.t());  // [rows (+ 1), S * N * B]
    const Tensor split = r.narrow(0, 0, used.rows).view({used.readouts, used.G, lanes, units, batch});
    const Tensor bias = scaled.bias.narrow(0, used.first, used.rows);
    Tensor factors = at::empty({used.readouts, lanes, units, used.G, batch}, h.options());
    at::add_out(factors, split.permute({0, 2, 3, 1, 4}), bias.view({used.readouts, 1, 1, used.G, 1}));
    ctx->save_for_backward({h, theta});
    ctx->saved_data["upper"] = upper;
    ctx->saved_data["lower"] = lower;
    keep_plan(ctx, plan);
    variable_list result = factors.view({used.readouts, lanes, units, -1}).split_with_sizes(used.counts);
    if (!upper) return result;
    result.push_back(r.select(0, used.rows).view({lanes, units, batch}).sum({2}));
    const Tensor linear = at::addmm(pieces.delta_b.of(theta), rows_h, pieces.delta_w.of(theta));
    result.push_back(linear.view({lanes, units, batch, -1}));
    return result;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto saved = ctx->get_saved_variables();
    const Guard guard;
    const auto& plan = plan_of(ctx);
    const auto& pieces = plan.packed->read();
    const bool upper = ctx->saved_data["upper"].toBool(), lower = ctx->saved_data["lower"].toBool();
    const Tensor &h = saved[0], &theta = saved[1];
    const std::int64_t lanes = h.size(0), units = h.size(1), batch = h.size(2), C = h.size(3);
    const Grid grid{lanes, units, batch};
    const Used used(plan, upper, lower);
    const std::int64_t all = used.rows + (upper ? 1 : 0);

    const Tensor dr = at::empty({all, grid.all()}, h.options());
    const Tensor split = dr.narrow(0, 0, used.rows)
                             .view({used.readouts, used.G, lanes, units, batch})
                             .permute({0, 2, 3, 1, 4});
    std::int64_t first = 0;
    for (std::size_t i = 0; i < used.counts.size(); ++i) {
      Tensor part = split.narrow(0, first, used.counts[i]);
      at::mul_out(part, dout[i].view(part.sizes()), c10::scalar_to_tensor(scale(plan, h)));
      first += used.counts[i];
    }
    if (upper) {
      Tensor mean_row = dr.select(0, used.rows).view({lanes, units, batch});
      at::mul_out(mean_row, dout[used.counts.size()].unsqueeze(2).expand_as(mean_row),
                  c10::scalar_to_tensor(1 / static_cast<double>(batch)));
    }

    const Tensor rows_h = flat(h);
    const Tensor lanes_h = lane_rows(grid, rows_h, 0, grid.rows());
    const Tensor dh = at::mm(dr.t(), pieces.w.of(theta).narrow(0, used.first, all));
    const Tensor by_lane = dr.view({all, lanes, grid.rows()});
    const Tensor dw = at::bmm(by_lane.permute({1, 0, 2}), lanes_h).view({lanes, all * C});
    const Tensor dbias = by_lane.narrow(0, 0, used.rows).sum({2}).t();
    Tensor ddelta_w, ddelta_b;
    if (upper) {
      const Tensor dlinear = flat(dout.back());
      dh.addmm_(dlinear, pieces.delta_w.of(theta).t());
      const Tensor lanes_d = lane_rows(grid, dlinear, 0, grid.rows());
      ddelta_w = at::bmm(lanes_h.transpose(1, 2), lanes_d).view({lanes, -1});
      ddelta_b = lanes_d.sum({1});
    }
    const auto none = [&](std::int64_t size) { return plan.zero.expand({lanes, size}); };
    const std::int64_t before = used.first, after = pieces.bias.shape[0] - before - used.rows;
    std::vector<Tensor> parts;
    if (before > 0) parts.push_back(none(before * C));
    parts.push_back(dw);
    if (!upper) parts.push_back(none((after + 1) * C));
    if (before > 0) parts.push_back(none(before));
    parts.push_back(dbias);
    if (after > 0) parts.push_back(none(after));
    if (upper) {
      parts.push_back(ddelta_w);
      parts.push_back(ddelta_b);
    } else {
      parts.push_back(none(pieces.delta_w.size() + pieces.delta_b.size()));
    }
    return {Tensor(), dh.view(h.sizes()), at::cat(parts, 1), Tensor(), Tensor()};
  }
};

struct ErrorSignal : Function<ErrorSignal> {
  static Tensor forward(AutogradContext* ctx, const Tensor& linear, const Tensor& d, const Tensor& z) {
    const Guard guard;
    const Tensor gate = z.sigmoid();
    ctx->save_for_backward({d, gate});
    return at::addcmul(linear, d, gate.unsqueeze(3));
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto saved = ctx->get_saved_variables();
    const Guard guard;
    const Tensor dgate = at::mul(dout[0], saved[0]).sum({3});
    return {dout[0], dout[0] * saved[1].unsqueeze(3), at::sigmoid_backward(dgate, saved[1])};
  }
};

}  // namespace

const ScaledReadouts& NetworkPlan::scaled_readouts(const Tensor& theta, double factor,
                                                   double bias_factor) const {
  if (scaled.factor != factor) {
    const auto& pieces = packed->read();
    scaled = {factor, pieces.w.of(theta) * factor, pieces.bias.of(theta) * factor};
    scaled.w.narrow(0, scaled.w.size(0) - 1, 1).mul_(bias_factor / factor);
  }
  return scaled;
}

Tensor top_network(const NetworkPlan& plan, const Tensor& features, const Tensor& theta) {
  return TopNetwork::apply(&plan, features, theta);
}

Tensor hidden_network(const NetworkPlan& plan, const Tensor& x, const Tensor& z, const Tensor& d,
                      const Tensor& constant, const Tensor& identity, const Tensor& theta) {
  return HiddenNetwork::apply(&plan, x, z, d, constant, identity, theta);
}

Readouts read_hidden(const NetworkPlan& plan, const Tensor& h, const Tensor& theta, Roles roles) {
  const auto result = ReadHidden::apply(&plan, h, theta, roles.upper, roles.lower);
  const std::size_t matrices = plan.size.separate_backward_readouts ? 2 : 1;
  Readouts readouts;
  auto next = result.begin();
  for (std::size_t i = 0; roles.lower && i < matrices; ++i) readouts.lower.push_back(*next++);
  for (std::size_t i = 0; roles.upper && i < matrices; ++i) readouts.upper.push_back(*next++);
  if (!roles.upper) return readouts;
  readouts.mean = *next++;
  readouts.linear = *next;
  return readouts;
}

Tensor error_signal(const Tensor& linear, const Tensor& d, const Tensor& z) {
  return ErrorSignal::apply(linear, d, z);
}

}  // namespace outerloop::rule::reference
