#include "common/rule/reference/reductions.h"

#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

namespace outerloop::rule::reference {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;
using Guard = at::AutoDispatchBelowADInplaceOrView;

struct RmsNormalise : Function<RmsNormalise> {
  static Tensor forward(AutogradContext* ctx, const Tensor& t, at::IntArrayRef dims, double epsilon) {
    const Guard guard;
    double count = 1;
    for (const auto dim : dims) count *= static_cast<double>(t.size(dim));
    const Tensor scale = at::mul(t, t).sum(dims, true).add_(count * epsilon).rsqrt_().mul_(std::sqrt(count));
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
  static Tensor forward(AutogradContext* ctx, const Tensor& t, double epsilon) {
    const Guard guard;
    const auto n = static_cast<double>(t.size(-1));
    const Tensor out = at::add(t, t.sum({-1}, true), -1 / n);
    const Tensor scale = at::mul(out, out).sum({-1}, true).add_(n * epsilon).rsqrt_().mul_(std::sqrt(n));
    out.mul_(scale);
    ctx->save_for_backward({out, scale});
    return out;
  }

  // forward: y = c s, c centred; so dt = s (dy - mean(dy) - y mean(dy y)).
  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto s = ctx->get_saved_variables();
    const Guard guard;
    const double factor = -1 / static_cast<double>(s[0].size(-1));
    const Tensor product = at::mul(dout[0], s[0]).sum({-1}, true);
    const Tensor dt = at::addcmul(dout[0], s[0], product, factor);
    return {dt.add_(dout[0].sum({-1}, true), factor).mul_(s[1]), {}};
  }
};

struct SolvePositive : Function<SolvePositive> {
  static Tensor solve(const Tensor& factor, const Tensor& R) {
    const Tensor half = std::get<0>(at::triangular_solve(R, factor, /*upper=*/false));
    return std::get<0>(at::triangular_solve(half, factor, /*upper=*/false, /*transpose=*/true));
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

struct WeightStatisticsNode : Function<WeightStatisticsNode> {
  /// Over `axis` of w; `magnitude` |w|, `square` w².
  static Tensor along(const Tensor& w, const Tensor& magnitude, const Tensor& square, std::int64_t axis) {
    const auto n = static_cast<double>(w.size(axis));
    const Tensor out = at::empty({w.size(0), w.size(3 - axis), 4}, w.options());
    const auto slot = [&](std::int64_t i) { return out.select(2, i); };
    const auto sum_into = [&](std::int64_t i, const Tensor& t) {
      Tensor target = slot(i);
      at::sum_out(target, t, {axis});
    };
    sum_into(0, magnitude);
    sum_into(1, square);
    sum_into(2, w);
    const Tensor centred = at::add(w, slot(2).unsqueeze(axis), -1 / n);
    sum_into(3, at::mul(centred, centred));
    out.mul_(1 / n);
    slot(1).add_(1e-6);
    slot(3).add_(1e-8);
    roots(out).sqrt_();
    return out;
  }

  static Tensor roots(const Tensor& statistics) { return statistics.slice(2, 1, 4, 2); }

  static variable_list forward(AutogradContext* ctx, const Tensor& w) {
    const Guard guard;
    const Tensor magnitude = w.abs(), square = at::mul(w, w);
    const Tensor columns = along(w, magnitude, square, 1), rows = along(w, magnitude, square, 2);
    ctx->save_for_backward({w, columns, rows});
    return {columns, rows};
  }

  /// dw = sign(w) factors[0] + w factors[1] + factors[2], each [S, N].
  struct Factors {
    Tensor sign, w, constant;
  };
  static Factors factors(const Tensor& g, const Tensor& statistics, std::int64_t n) {
    const Tensor k = g * (1 / static_cast<double>(n));
    roots(k).div_(roots(statistics));
    return {k.select(2, 0), k.select(2, 1) + k.select(2, 3),
            at::addcmul(k.select(2, 2), statistics.select(2, 2), k.select(2, 3), -1)};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto s = ctx->get_saved_variables();
    const Guard guard;
    const Tensor& w = s[0];
    const Factors column = factors(dout[0], s[1], w.size(1)), row = factors(dout[1], s[2], w.size(2));
    const Tensor dw = at::mul(w.sign(), column.sign.unsqueeze(1) + row.sign.unsqueeze(2));
    dw.addcmul_(w, column.w.unsqueeze(1) + row.w.unsqueeze(2));
    return {dw.add_(column.constant.unsqueeze(1)).add_(row.constant.unsqueeze(2))};
  }
};

}  // namespace

Tensor rms_normalise(const Tensor& t, at::IntArrayRef dims, double epsilon) {
  return RmsNormalise::apply(t, dims, epsilon);
}

Tensor standardise(const Tensor& t, double epsilon) { return Standardise::apply(t, epsilon); }

Tensor solve_positive(const Tensor& G, const Tensor& R) { return SolvePositive::apply(G, R); }

WeightStatistics weight_statistics(const Tensor& w) {
  const auto result = WeightStatisticsNode::apply(w);
  return {result[0], result[1]};
}

}  // namespace outerloop::rule::reference
