#include "common/rule/reference/reductions.h"

#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <vector>

namespace outerloop::rule::reference {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;
using Guard = at::AutoDispatchBelowADInplaceOrView;

struct RmsNormalise : Function<RmsNormalise> {
  static Tensor forward(AutogradContext* ctx, const Tensor& t, at::IntArrayRef dims, const Tensor& epsilon) {
    const Guard guard;
    double count = 1;
    for (const auto dim : dims) count *= static_cast<double>(t.size(dim));
    const Tensor scale = at::addcmul(epsilon, t, t).sum(dims, true).rsqrt_().mul_(std::sqrt(count));
    const Tensor out = t * scale;
    ctx->save_for_backward({out, scale});
    ctx->saved_data["dims"] = dims.vec();
    ctx->saved_data["count"] = count;
    return out;
  }

  // forward: y = t s, s = (eps + mean t²)^(-1/2), ds/dt = -s² y / n; so dt = s (dy - y mean(dy y)).
  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto s = ctx->get_saved_variables();
    const Guard guard;
    const Tensor product = at::mul(dout[0], s[0]).sum(ctx->saved_data["dims"].toIntVector(), true);
    const double factor = -1 / ctx->saved_data["count"].toDouble();
    return {at::addcmul(dout[0], s[0], product, factor).mul_(s[1]), {}, {}};
  }
};

struct Standardise : Function<Standardise> {
  static Tensor forward(AutogradContext* ctx, const Tensor& t, const Tensor& epsilon, bool for_sums) {
    const Guard guard;
    const auto n = static_cast<double>(t.size(-1));
    const Tensor out = at::add(t, t.sum({-1}, true), -1 / n);
    const Tensor scale = at::addcmul(epsilon, out, out).sum({-1}, true).rsqrt_();
    if (!for_sums) scale.mul_(std::sqrt(n));
    out.mul_(scale);
    ctx->save_for_backward({out, scale});
    ctx->saved_data["for_sums"] = for_sums;
    return out;
  }

  // forward: y = c s, c centred, s = a (n eps + Σ c²)^(-1/2); so dt = s (dy - mean(dy) - y Σ(dy y) / a²),
  // a = 1 or sqrt(n).
  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto s = ctx->get_saved_variables();
    const Guard guard;
    const double factor = -1 / static_cast<double>(s[0].size(-1));
    const Tensor product = at::mul(dout[0], s[0]).sum({-1}, true);
    const Tensor dt = at::addcmul(dout[0], s[0], product, ctx->saved_data["for_sums"].toBool() ? -1 : factor);
    return {dt.add_(dout[0].sum({-1}, true), factor).mul_(s[1]), {}, {}};
  }
};

struct SolvePositive : Function<SolvePositive> {
  /// A⁻¹ R. LibTorch 1.13 lacks this kernel on its meta device; there only the call is recorded.
  static Tensor solve_triangular(const Tensor& A, const Tensor& R, bool upper) {
    if (!A.is_meta()) return at::linalg_solve_triangular(A, R, upper);
    RECORD_FUNCTION("aten::linalg_solve_triangular", std::vector<c10::IValue>({A, R}));
    return at::empty_like(R);
  }

  static Tensor solve(const Tensor& factor, const Tensor& R) {
    return solve_triangular(factor.transpose(1, 2), solve_triangular(factor, R, false), true);
  }

  static Tensor forward(AutogradContext* ctx, const Tensor& G, const Tensor& R) {
    const Guard guard;
    const Tensor factor = std::get<0>(at::linalg_cholesky_ex(G));
    const Tensor V = solve(factor, R);
    ctx->save_for_backward({factor, V});
    return V;
  }

  // forward: V = G⁻¹ R; so dR = G⁻¹ dV, dG = -dR Vᵀ.
  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto s = ctx->get_saved_variables();
    const Guard guard;
    const Tensor dR = solve(s[0], dout[0]);
    return {at::bmm(dR, s[1].transpose(1, 2)).neg_(), dR};
  }
};

/// The graph holds the constants of a LayerStack as a pointer.
void keep_stack(AutogradContext* ctx, const LayerStack* stack) {
  ctx->saved_data["stack"] = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(stack));
}

const LayerStack& stack_of(AutogradContext* ctx) {
  return *reinterpret_cast<const LayerStack*>(static_cast<std::intptr_t>(ctx->saved_data["stack"].toInt()));
}

struct WeightStatisticsNode : Function<WeightStatisticsNode> {
  /// Statistics along `axis` of w, from `powers` [3, L, S, I, J]: |w|, w², w. `share`: 1 / extent of that
  /// axis.
  static Tensor along(const Tensor& powers, std::int64_t axis, const Tensor& share, const LayerStack& stack) {
    const Tensor w = powers.select(0, 2);
    const Tensor out = at::empty({w.size(0), w.size(1), w.size(5 - axis), 4}, w.options());
    Tensor means = out.narrow(3, 0, 3), variance = out.narrow(3, 3, 1);
    at::mul_out(means, powers.sum({axis + 1}).permute({1, 2, 3, 0}), share);
    const Tensor centred = at::addcmul(w, out.select(3, 2).unsqueeze(axis), stack.there, -1);
    at::mul_out(variance, at::mul(centred, centred).sum({axis}).unsqueeze(3), share);
    roots(out).add_(stack.epsilons).sqrt_();
    return out;
  }

  static Tensor roots(const Tensor& statistics) { return statistics.slice(3, 1, 4, 2); }

  static variable_list forward(AutogradContext* ctx, const Tensor& W, const LayerStack* stack) {
    const Guard guard;
    const Tensor sign = W.sign(),
                 powers = at::empty({3, W.size(0), W.size(1), W.size(2), W.size(3)}, W.options());
    Tensor magnitude = powers.select(0, 0), square = powers.select(0, 1);
    at::mul_out(magnitude, W, sign);
    at::mul_out(square, W, W);
    powers.select(0, 2).copy_(W);
    const Tensor columns = along(powers, 2, stack->per_row, *stack);
    const Tensor rows = along(powers, 3, stack->per_column, *stack);
    ctx->save_for_backward({W, sign, columns, rows});
    keep_stack(ctx, stack);
    variable_list parts;
    for (std::int64_t l = 0; l < stack->layers(); ++l)
      parts.push_back(layer_part(columns, l, {stack->outputs(l), 4}));
    for (std::int64_t l = 0; l < stack->layers(); ++l)
      parts.push_back(layer_part(rows, l, {stack->inputs(l), 4}));
    return parts;
  }

  /// dw = sign(w) factors[0] + w factors[1] + factors[2], each [L, S, N].
  struct Factors {
    Tensor sign, w, constant;
  };
  /// `dout`: gradients with respect to the statistics of each layer.
  static Factors factors(const Tensor* dout, const Tensor& statistics, const Tensor& share) {
    const Tensor k = at::zeros(statistics.sizes(), statistics.options());
    for (std::int64_t l = 0; l < k.size(0); ++l) layer_part(k, l, {dout[l].size(1), 4}).copy_(dout[l]);
    k.mul_(share);
    roots(k).div_(roots(statistics));
    return {k.select(3, 0), k.select(3, 1) + k.select(3, 3),
            at::addcmul(k.select(3, 2), statistics.select(3, 2), k.select(3, 3), -1)};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto s = ctx->get_saved_variables();
    const Guard guard;
    const Tensor &W = s[0], &sign = s[1];
    const LayerStack& stack = stack_of(ctx);
    const Factors column = factors(dout.data(), s[2], stack.per_row);
    const Factors row = factors(dout.data() + stack.layers(), s[3], stack.per_column);
    const Tensor dw = at::mul(sign, column.sign.unsqueeze(2) + row.sign.unsqueeze(3));
    dw.addcmul_(W, column.w.unsqueeze(2) + row.w.unsqueeze(3));
    dw.add_(column.constant.unsqueeze(2)).add_(row.constant.unsqueeze(3));
    return {dw.mul_(stack.there), Tensor()};
  }
};

struct BiasChange : Function<BiasChange> {
  static Tensor forward(AutogradContext* ctx, const Tensor& mean, const Tensor& bias,
                        const LayerStack* stack) {
    const Guard guard;
    // c + relu(-mean c) with c = mean + bias.b is mean + max(bias.b, -mean(mean)). If the latter is larger,
    // the gradient of bias.b is exactly zero.
    const Tensor given = bias.view({1, -1, 1, 1});
    const Tensor shift = at::maximum(mean.sum({2}, true).mul_(stack->per_column).neg_(), given);
    const Tensor below = at::sub(shift, given);
    const Tensor change = at::addcmul(mean, shift, stack->there_bias);
    const Tensor scale = at::mul(change, change).sum({2}, true).mul_(stack->per_column).add_(0.5).rsqrt_();
    change.mul_(scale);
    ctx->save_for_backward({change, scale, below});
    keep_stack(ctx, stack);
    return change;
  }

  // forward: y = t s, s = (0.5 + mean t²)^(-1/2), t = c + relu(-mean c).
  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto s = ctx->get_saved_variables();
    const Guard guard;
    const LayerStack& stack = stack_of(ctx);
    const Tensor product = at::mul(dout[0], s[0]).sum({2}, true).mul_(stack.per_column);
    const Tensor dt = at::addcmul(dout[0], s[0], product, -1).mul_(s[1]);
    const Tensor all = dt.sum({2}, true);
    const Tensor taken = at::threshold_backward(all, s[2], 0);
    const Tensor dbias = at::sub(all, taken).sum({0}).view({-1, 1});
    const Tensor dmean = dt.addcmul_(taken, stack.bias_share, -1);
    return {dmean, dbias, Tensor()};
  }
};

}  // namespace

Tensor rms_normalise(const Tensor& t, at::IntArrayRef dims, const Tensor& epsilon) {
  return RmsNormalise::apply(t, dims, epsilon);
}

Tensor standardise(const Tensor& t, const Tensor& epsilon) { return Standardise::apply(t, epsilon, false); }

Tensor standardise_for_sums(const Tensor& t, const Tensor& epsilon) {
  return Standardise::apply(t, epsilon, true);
}

Tensor solve_positive(const Tensor& G, const Tensor& R) { return SolvePositive::apply(G, R); }

WeightStatistics weight_statistics(const Tensor& W, const LayerStack& stack) {
  const auto all = WeightStatisticsNode::apply(W, &stack);
  const auto middle = all.begin() + stack.layers();
  return {{all.begin(), middle}, {middle, all.end()}};
}

Tensor bias_change(const Tensor& mean, const Tensor& bias, const LayerStack& stack) {
  return BiasChange::apply(mean, bias, &stack);
}

}  // namespace outerloop::rule::reference
