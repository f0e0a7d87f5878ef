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

/// The axis of a grid along which a convolution runs.
enum class Axis { outer, inner };

void keep_plan(AutogradContext* ctx, const NetworkPlan* plan) {
  ctx->saved_data["plan"] = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(plan));
}

const NetworkPlan& plan_of(AutogradContext* ctx) {
  return *reinterpret_cast<const NetworkPlan*>(static_cast<std::intptr_t>(ctx->saved_data["plan"].toInt()));
}

/// Tensors of one convolution, batch norm and relu that the adjoint needs, besides the weights.
struct Block {
  Tensor input;  ///< along the outer axis the convolution's input, along the inner axis its windows
  Normalised norm;
};
constexpr std::size_t kPerBlock = 5;

void append(std::vector<Tensor>& list, const Block& block) {
  list.insert(list.end(), {block.input, block.norm.input, block.norm.mean, block.norm.rstd, block.norm.out});
}

Block block_at(const variable_list& list, std::size_t first) {
  return {list[first], {list[first + 1], list[first + 2], list[first + 3], list[first + 4]}};
}

Block outer_block(const Grid& grid, const Tensor& x, const BlockPieces& pieces, const Tensor& theta) {
  return {x, normalise(convolve_outer(grid, x, pieces.w.of(theta)), pieces.beta.of(theta), true)};
}

Block inner_block(const Grid& grid, const Padded& x, const BlockPieces& pieces, const Tensor& theta,
                  const Tensor& start = {}) {
  const Tensor w = pieces.w.of(theta), input = windows(grid, x, w.size(0));
  return {input, normalise(convolve_inner(input, w, start), pieces.beta.of(theta), true)};
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

/// `addend`: only along the outer axis.
BlockGradient backward_block(const NetworkPlan& plan, const Grid& grid, const Block& block,
                             const Tensor& dout, const BlockPieces& pieces, const Tensor& theta, Axis axis,
                             PieceGradients& gradients, const Tensor& addend = {}) {
  const auto norm = normalise_gradient(block.norm, dout, plan.ones, true);
  const Tensor w = pieces.w.of(theta);
  const auto conv = axis == Axis::outer ? outer_gradient(grid, block.input, w, norm.dy, addend)
                                        : inner_gradient(grid, block.input, w, norm.dy);
  gradients.prepend(norm.dbeta);
  gradients.prepend(conv.dw);
  return {conv.dx, norm.dy};
}

// The top network. Places are (batch, unit), so that convolutions along the batch need no borders; in the
// mixing layers they are (batch, channel), with the units as channels.

/// [S, taps, B * N]: the windows along the batch of one channel [S, B + taps - 1, N], padded with zeros.
Tensor batch_windows(const Tensor& padded, std::int64_t taps) {
  const std::int64_t lanes = padded.size(0), units = padded.size(2), batch = padded.size(1) - taps + 1;
  return padded
      .as_strided({lanes, taps, batch * units}, {padded.stride(0), units, 1}, padded.storage_offset())
      .contiguous();
}

/// Σ over windows: the adjoint of `batch_windows`. dwindows [S, taps, B * N] → [S, N, B].
Tensor fold_batch_windows(const Grid& grid, const Tensor& dwindows) {
  const std::int64_t taps = dwindows.size(1), half = taps / 2, units = grid.inner, batch = grid.outer;
  const std::int64_t line = batch + 2 * half;
  const Tensor padded = at::zeros({grid.lanes, taps, line, units}, dwindows.options());
  padded.narrow(2, half, batch).copy_(dwindows.view({grid.lanes, taps, batch, units}));
  // x[b] is tap j of window b + half - j, which is line b + 2 half - j of the padded windows.
  return padded
      .as_strided({grid.lanes, taps, units, batch}, {padded.stride(0), (line - 1) * units, 1, units},
                  2 * half * units)
      .sum({1});
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
    const Tensor columns = batch_windows(padded, taps);
    const Tensor y = convolve_inner(columns, pieces.blocks[0].w.of(theta));
    Block block{columns, normalise(y, pieces.blocks[0].beta.of(theta), true)};
    append(saved, block);

    Tensor a = swap(block.norm.out, by_unit);
    for (std::size_t i = 1; i < pieces.blocks.size(); ++i) {
      const bool mixing = i <= 2;
      if (i == 3) a = swap(a, by_channel);
      block = outer_block(mixing ? by_channel : by_unit, a, pieces.blocks[i], theta);
      append(saved, block);
      a = block.norm.out;
    }
    if (pieces.blocks.size() == 3) a = swap(a, by_channel);
    const Tensor out = convolve_outer(by_unit, a, pieces.out.w.of(theta));
    saved.insert(saved.end(), {a, theta});
    ctx->save_for_backward(saved);
    keep_plan(ctx, plan);
    // [S, D, B, N_L] → [S, N_L, D, B], adding the bias
    const std::int64_t D = out.size(1);
    const Tensor result = at::empty({lanes, units, D, batch}, out.options());
    Tensor target = result;
    at::add_out(target, out.view({lanes, D, batch, units}).permute({0, 3, 1, 2}),
                pieces.out.beta.of(theta).view({D, 1}));
    return result;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto saved = ctx->get_saved_variables();
    const Guard guard;
    const auto& plan = plan_of(ctx);
    const auto& pieces = plan.packed->top();
    const Tensor &theta = saved.back(), &last = saved[saved.size() - 2];
    const std::int64_t lanes = dout[0].size(0), units = dout[0].size(1), batch = dout[0].size(3);
    const Grid by_unit{lanes, batch, units}, by_channel{lanes, batch, plan.size.top_channels};
    PieceGradients gradients(lanes);

    const Tensor dy = dout[0].permute({0, 2, 3, 1}).contiguous().view({lanes, -1, by_unit.places()});
    auto conv = outer_gradient(by_unit, last, pieces.out.w.of(theta), dy);
    gradients.prepend(dy.sum({2}));
    gradients.prepend(conv.dw);
    Tensor d = conv.dx;
    if (pieces.blocks.size() == 3) d = swap(d, by_unit);
    for (std::size_t i = pieces.blocks.size() - 1; i >= 1; --i) {
      const Grid& grid = i <= 2 ? by_channel : by_unit;
      d = backward_block(plan, grid, block_at(saved, kPerBlock * i), d, pieces.blocks[i], theta, Axis::outer,
                         gradients)
              .dx;
      if (i == 3) d = swap(d, by_unit);
    }
    d = swap(d, by_channel);

    const Block first = block_at(saved, 0);
    const auto norm = normalise_gradient(first.norm, d, plan.ones, true);
    const Tensor w = pieces.blocks[0].w.of(theta);
    gradients.prepend(norm.dbeta);
    gradients.prepend(at::bmm(first.input, norm.dy.transpose(1, 2)));
    const Tensor dwindows = at::bmm(shared_matrix(w.view({1, w.size(0), w.size(2)}), 0, lanes), norm.dy);
    return {Tensor(), fold_batch_windows(by_unit, dwindows), gradients.joined()};
  }

  /// Exchanges channels and the inner index: [S, channels, outer * inner] → [S, inner, outer * channels].
  static Tensor swap(const Tensor& x, const Grid& grid) {
    return x.view({grid.lanes, x.size(1), grid.outer, grid.inner})
        .transpose(1, 3)
        .contiguous()
        .view({grid.lanes, grid.inner, grid.outer * x.size(1)});
  }
};

// Hidden states. Places are (unit, batch).

/// `product` [S, 3 C, N]: contribution of the inputs that are constant along the batch, per tap. Returns,
/// for every place along the batch, the sum over the taps whose neighbour exists: [S, C, N * B].
Tensor spread_constant(const Grid& grid, const Tensor& product) {
  const std::int64_t C = product.size(1) / 3;
  const Tensor taps = product.view({grid.lanes, 3, C, grid.outer});
  const Tensor y = at::empty({grid.lanes, C, grid.outer, grid.inner}, product.options());
  if (grid.inner == 1) {
    y.select(3, 0).copy_(taps.select(1, 1));
  } else {
    y.copy_(taps.sum({1}).unsqueeze(3));
    Tensor first = y.select(3, 0), last = y.select(3, grid.inner - 1);
    at::add_out(first, taps.select(1, 1), taps.select(1, 2));
    at::add_out(last, taps.select(1, 0), taps.select(1, 1));
  }
  return y.view({grid.lanes, C, grid.places()});
}

/// The adjoint of spread_constant: [S, 3 C, N].
Tensor constant_gradient(const Grid& grid, const Tensor& dy) {
  const std::int64_t C = dy.size(1);
  const Tensor by_unit = dy.view({grid.lanes, C, grid.outer, grid.inner});
  const Tensor taps = at::empty({grid.lanes, 3, C, grid.outer}, dy.options());
  Tensor before = taps.select(1, 0), middle = taps.select(1, 1), after = taps.select(1, 2);
  at::sum_out(middle, by_unit, {3});
  at::sub_out(before, middle, by_unit.select(3, 0));
  at::sub_out(after, middle, by_unit.select(3, grid.inner - 1));
  return taps.view({grid.lanes, 3 * C, grid.outer});
}

struct HiddenNetwork : Function<HiddenNetwork> {
  static Tensor forward(AutogradContext* ctx, const NetworkPlan* plan, const Tensor& x, const Tensor& z,
                        const Tensor& d, const Tensor& constant, const Tensor& identity,
                        const Tensor& theta) {
    const Guard guard;
    const auto& pieces = plan->packed->hidden();
    const std::int64_t lanes = x.size(0), units = x.size(1), batch = x.size(2), in = 2 + d.size(2);
    const Grid grid{lanes, units, batch};
    std::vector<Tensor> saved;

    const Tensor varying =
        at::cat({x.unsqueeze(1), z.unsqueeze(1), d.transpose(1, 2)}, 1).reshape({lanes, in, grid.places()});
    const auto features = normalise(varying, pieces.beta_varying.of(theta), false);
    const Tensor known = at::cat({constant, identity.expand({lanes, units, 2})}, 2).transpose(1, 2);
    const Tensor product = at::bmm(shared_transpose(pieces.in_constant.of(theta), 0, lanes), known);
    saved.insert(saved.end(), {theta, known, varying, features.mean, features.rstd});

    Tensor a;
    for (std::size_t i = 0; i < pieces.blocks.size(); i += 3) {
      const auto& w = pieces.blocks[i].w.shape;
      const Padded padded(grid, w[1], w[0], x.options());
      Tensor interior = padded.interior;
      if (i == 0)
        interior.copy_(features.out.view(interior.sizes()));
      else
        add_last_two(interior, saved);
      const Tensor start = i == 0 ? spread_constant(grid, product) : Tensor();
      append(saved, inner_block(grid, padded, pieces.blocks[i], theta, start));
      append(saved, outer_block(grid, saved.back(), pieces.blocks[i + 1], theta));
      append(saved, outer_block(grid, saved.back(), pieces.blocks[i + 2], theta));
    }
    const std::int64_t C = plan->size.hidden_channels;
    Tensor h = at::empty({lanes, C, units, batch}, x.options());
    add_last_two(h, saved);
    ctx->save_for_backward(saved);
    keep_plan(ctx, plan);
    return h;
  }

  /// The sum of the inner block's output and the second outer block's: the residual.
  static void add_last_two(Tensor& sum, const std::vector<Tensor>& saved) {
    const Tensor &first = saved[saved.size() - 1 - 2 * kPerBlock], &last = saved.back();
    at::add_out(sum, first.view(sum.sizes()), last.view(sum.sizes()));
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto saved = ctx->get_saved_variables();
    const Guard guard;
    const auto& plan = plan_of(ctx);
    const auto& pieces = plan.packed->hidden();
    const Tensor &theta = saved[0], &known = saved[1];
    const Grid grid{dout[0].size(0), dout[0].size(2), dout[0].size(3)};
    PieceGradients gradients(grid.lanes);

    Tensor d = dout[0].view({grid.lanes, -1, grid.places()}), dconstant;
    for (std::size_t i = pieces.blocks.size(); i > 0;) {
      i -= 3;
      const std::size_t first = 5 + kPerBlock * i;
      const auto u1 = backward_block(plan, grid, block_at(saved, first + 2 * kPerBlock), d,
                                     pieces.blocks[i + 2], theta, Axis::outer, gradients);
      const auto u0 = backward_block(plan, grid, block_at(saved, first + kPerBlock), u1.dx,
                                     pieces.blocks[i + 1], theta, Axis::outer, gradients, d);
      const auto in = backward_block(plan, grid, block_at(saved, first), u0.dx, pieces.blocks[i], theta,
                                     Axis::inner, gradients);
      if (i == 0) dconstant = constant_gradient(grid, in.dy);
      d = in.dx;
    }
    const Tensor w = pieces.in_constant.of(theta);
    const Tensor dknown = at::bmm(shared_matrix(w, 0, grid.lanes), dconstant);  // [S, 11, N]
    gradients.prepend(at::bmm(known, dconstant.transpose(1, 2)));
    gradients.prepend(dknown.narrow(1, 9, 2).sum({2}));
    d = d.clone(at::MemoryFormat::Contiguous);
    const auto features = normalise_gradient({saved[2], saved[3], saved[4], {}}, d, plan.ones, false);
    gradients.prepend(features.dbeta);
    const Tensor dvarying = features.dy.view({grid.lanes, -1, grid.outer, grid.inner});
    return {Tensor(),
            dvarying.select(1, 0),
            dvarying.select(1, 1),
            dvarying.narrow(1, 2, dvarying.size(1) - 2).transpose(1, 2),
            dknown.narrow(1, 0, 9).transpose(1, 2),
            Tensor(),
            gradients.joined()};
  }
};

struct ReadHidden : Function<ReadHidden> {
  /// Rows of `w` that a layer of these roles uses.
  struct Used {
    std::int64_t G, first, readouts, rows;  ///< `rows` of readouts, G each
    std::int64_t delta = 0, all;            ///< rows of delta.w; all rows with those and that of bias.w
    std::vector<std::int64_t> counts;       ///< readouts of each role and matrix, in order
    Used(const NetworkPlan& plan, bool upper, bool lower) : G(plan.size.readout_channels) {
      const auto& pieces = plan.packed->read();
      first = lower ? 0 : pieces.lower * G;
      readouts = (lower ? pieces.lower : 0) + (upper ? pieces.upper : 0);
      rows = readouts * G;
      if (upper) delta = plan.size.delta_channels;
      all = rows + delta + (upper ? 1 : 0);
      for (std::int64_t i = 0; lower && i < pieces.lower; i += kLowerReadouts)
        counts.push_back(kLowerReadouts);
      for (std::int64_t i = 0; upper && i < pieces.upper; i += kUpperReadouts)
        counts.push_back(kUpperReadouts);
    }
    /// The readouts' rows of r [S, all, N * B] as [readouts, S, N, G, B].
    Tensor by_readout(const Tensor& r, const Grid& grid) const {
      return r.narrow(1, 0, rows)
          .view({grid.lanes, readouts, G, grid.outer, grid.inner})
          .permute({1, 0, 3, 2, 4});
    }
    /// The rows of delta.w as [S, N, D, B].
    Tensor of_delta(const Tensor& r, const Grid& grid) const {
      return r.narrow(1, rows, delta).view({grid.lanes, delta, grid.outer, grid.inner}).transpose(1, 2);
    }
    /// The row of bias.w as [S, N, B].
    Tensor of_mean(const Tensor& r, const Grid& grid) const {
      return r.select(1, rows + delta).view({grid.lanes, grid.outer, grid.inner});
    }
  };

  static double scale(const NetworkPlan& plan, const Grid& grid) {
    return 1 / std::sqrt(static_cast<double>(plan.size.readout_channels * grid.inner));
  }

  static variable_list forward(AutogradContext* ctx, const NetworkPlan* plan, const Tensor& h,
                               const Tensor& theta, bool upper, bool lower) {
    const Guard guard;
    const Grid grid{h.size(0), h.size(2), h.size(3)};
    const Used used(*plan, upper, lower);
    const auto& scaled =
        plan->scaled_readouts(theta, scale(*plan, grid), 1 / static_cast<double>(grid.inner));
    const Tensor w = scaled.w.narrow(0, used.first, used.all).unsqueeze(0).expand({grid.lanes, -1, -1});
    const Tensor r = at::bmm(w, h.view({grid.lanes, -1, grid.places()}));  // [S, all, N * B]
    const Tensor bias = scaled.bias.narrow(0, used.first, used.rows);
    Tensor factors = at::empty({used.readouts, grid.lanes, grid.outer, used.G, grid.inner}, h.options());
    at::add_out(factors, used.by_readout(r, grid), bias.view({used.readouts, 1, 1, used.G, 1}));
    ctx->save_for_backward({h, theta});
    ctx->saved_data["upper"] = upper;
    ctx->saved_data["lower"] = lower;
    keep_plan(ctx, plan);
    variable_list result =
        factors.view({used.readouts, grid.lanes, grid.outer, -1}).split_with_sizes(used.counts);
    if (!upper) return result;
    result.push_back(used.of_mean(r, grid).sum({2}));
    const Tensor delta_b = scaled.bias.narrow(0, used.first + used.rows, used.delta);
    result.push_back(used.of_delta(r, grid).add_(delta_b.view({used.delta, 1})));
    return result;
  }

  static Tensor readout_gradient(const NetworkPlan& plan, const Used& used, const Grid& grid,
                                 const variable_list& dout) {
    const Tensor dr = at::empty({grid.lanes, used.all, grid.places()}, dout[0].options());
    const Tensor split = used.by_readout(dr, grid);
    std::int64_t first = 0;
    for (std::size_t i = 0; i < used.counts.size(); ++i) {
      Tensor part = split.narrow(0, first, used.counts[i]);
      at::mul_out(part, dout[i].view(part.sizes()), c10::scalar_to_tensor(scale(plan, grid)));
      first += used.counts[i];
    }
    if (used.delta == 0) return dr;
    Tensor mean_row = used.of_mean(dr, grid);
    at::mul_out(mean_row, dout[used.counts.size()].unsqueeze(2).expand_as(mean_row),
                c10::scalar_to_tensor(1 / static_cast<double>(grid.inner)));
    used.of_delta(dr, grid).copy_(dout.back());
    return dr;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto saved = ctx->get_saved_variables();
    const Guard guard;
    const auto& plan = plan_of(ctx);
    const auto& pieces = plan.packed->read();
    const Tensor &h = saved[0], &theta = saved[1];
    const Grid grid{h.size(0), h.size(2), h.size(3)};
    const std::int64_t C = h.size(1);
    const Used used(plan, ctx->saved_data["upper"].toBool(), ctx->saved_data["lower"].toBool());

    const Tensor dr = readout_gradient(plan, used, grid, dout);
    const Tensor w = pieces.w.of(theta).narrow(0, used.first, used.all);
    const Tensor dh = at::bmm(w.t().unsqueeze(0).expand({grid.lanes, C, used.all}), dr);
    const Tensor dw = at::bmm(dr, h.view({grid.lanes, C, grid.places()}).transpose(1, 2));
    const Tensor dbias = dr.narrow(1, 0, used.rows + used.delta).sum({2});
    std::vector<Tensor> parts;
    const auto append_padded = [&](const Tensor& part, std::int64_t before, std::int64_t all) {
      const std::int64_t after = all - before - part.size(1);
      if (before > 0) parts.push_back(plan.zero.expand({grid.lanes, before}));
      parts.push_back(part);
      if (after > 0) parts.push_back(plan.zero.expand({grid.lanes, after}));
    };
    append_padded(dw.view({grid.lanes, -1}), used.first * C, pieces.w.size());
    append_padded(dbias, used.first, pieces.bias.size());
    return {Tensor(), dh.view(h.sizes()), at::cat(parts, 1), Tensor(), Tensor()};
  }
};

struct ErrorSignal : Function<ErrorSignal> {
  static Tensor forward(AutogradContext* ctx, const Tensor& linear, const Tensor& d, const Tensor& z) {
    const Guard guard;
    const Tensor gate = z.sigmoid();
    ctx->save_for_backward({d, gate});
    Tensor delta = at::empty(d.sizes(), d.options());
    at::addcmul_out(delta, linear, d, gate.unsqueeze(2));
    return delta;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto saved = ctx->get_saved_variables();
    const Guard guard;
    const Tensor dgate = at::mul(dout[0], saved[0]).sum({2});
    return {dout[0], dout[0] * saved[1].unsqueeze(2), at::sigmoid_backward(dgate, saved[1])};
  }
};

}  // namespace

const ScaledReadouts& NetworkPlan::scaled_readouts(const Tensor& theta, double factor,
                                                   double bias_factor) const {
  if (scaled.factor != factor) {
    const auto& pieces = packed->read();
    const std::int64_t rows = (pieces.lower + pieces.upper) * size.readout_channels;
    scaled = {factor, pieces.w.of(theta).clone(), pieces.bias.of(theta).clone()};
    scaled.w.narrow(0, 0, rows).mul_(factor);
    scaled.w.narrow(0, rows + size.delta_channels, 1).mul_(bias_factor);
    scaled.bias.narrow(0, 0, rows).mul_(factor);
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
