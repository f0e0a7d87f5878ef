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

struct ReadoutRows : Function<ReadoutRows> {
  static variable_list forward(AutogradContext* ctx, const Tensor& h, const Tensor& w, const Tensor& bias,
                               std::int64_t channels, double scale, bool with_mean) {
    const Guard guard;
    const std::int64_t units = h.size(0), batch = h.size(1);
    const Tensor flat = h.contiguous().view({units * batch, h.size(2)});
    const std::int64_t rows = bias.size(0);
    const Tensor scaled = w.clone();
    scaled.narrow(0, 0, rows).mul_(scale);
    const Tensor r = at::mm(scaled, flat.t());  // [rows (+ 1), units * batch]
    const Tensor split = r.narrow(0, 0, rows).view({rows / channels, channels, units, batch});
    const Tensor shift = (bias * scale).view({rows / channels, 1, channels, 1});
    const Tensor factors =
        at::add(split.transpose(1, 2), shift).contiguous().view({rows / channels, units, -1});
    const Tensor mean = with_mean ? r.select(0, rows).view({units, batch}).mean({1}) : Tensor();
    ctx->save_for_backward({h, scaled});
    ctx->saved_data["channels"] = channels;
    ctx->saved_data["scale"] = scale;
    ctx->saved_data["with_mean"] = with_mean;
    if (!with_mean) return {factors};
    return {factors, mean};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    const auto s = ctx->get_saved_variables();
    const Guard guard;
    const std::int64_t units = s[0].size(0), batch = s[0].size(1);
    const Tensor flat = s[0].contiguous().view({units * batch, s[0].size(2)});
    const std::int64_t channels = ctx->saved_data["channels"].toInt();
    const double scale = ctx->saved_data["scale"].toDouble();
    const bool with_mean = ctx->saved_data["with_mean"].toBool();
    const std::int64_t rows = s[1].size(0) - (with_mean ? 1 : 0);
    const Tensor dr = at::empty({s[1].size(0), units * batch}, s[0].options());
    dr.narrow(0, 0, rows)
        .view({rows / channels, channels, units, batch})
        .copy_(dout[0].contiguous().view({rows / channels, units, channels, batch}).transpose(1, 2));
    if (with_mean)
      dr.select(0, rows).view({units, batch}).copy_((dout[1] / static_cast<double>(batch)).unsqueeze(1));
    const Tensor dw = at::mm(dr, flat);
    dw.narrow(0, 0, rows).mul_(scale);
    const Tensor dbias = dr.narrow(0, 0, rows).sum({1}).mul_(scale);
    return {at::mm(dr.t(), s[1]).view(s[0].sizes()), dw, dbias, {}, {}, {}};
  }
};

struct SymmetricZeroDiagonal : Function<SymmetricZeroDiagonal> {
  static Tensor apply_to(const Tensor& r, double scale) {
    const Guard guard;
    const Tensor s = (r + r.transpose(-1, -2)).mul_(scale);
    s.diagonal(0, -2, -1).zero_();
    return s;
  }

  static Tensor forward(AutogradContext* ctx, const Tensor& r, double scale) {
    ctx->saved_data["scale"] = scale;
    return apply_to(r, scale);
  }

  // The map is its own adjoint.
  static variable_list backward(AutogradContext* ctx, const variable_list& dout) {
    return {apply_to(dout[0], ctx->saved_data["scale"].toDouble()), {}};
  }
};

}  // namespace

Tensor rms_normalise(const Tensor& t, at::IntArrayRef dims, double epsilon) {
  return RmsNormalise::apply(t, dims, epsilon);
}

Readouts readouts(const Tensor& h, const Tensor& w, const Tensor& bias, std::int64_t channels, double scale,
                  bool with_mean) {
  const auto result = ReadoutRows::apply(h, w, bias, channels, scale, with_mean);
  return {result[0], with_mean ? result[1] : Tensor()};
}

Tensor symmetric_zero_diagonal(const Tensor& r, double scale) {
  return SymmetricZeroDiagonal::apply(r, scale);
}

}  // namespace outerloop::rule::reference
