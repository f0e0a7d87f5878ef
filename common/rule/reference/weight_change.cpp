#include "common/rule/reference/weight_change.h"

#include <cmath>

#include "common/rule/reference/reductions.h"

namespace outerloop::rule::reference {
namespace {

constexpr std::int64_t kTerms = 12;

/// The twelve terms in the order of docs/update-rule.md, §3.4.
Tensor stacked_terms(const Tensor& w, const LayerPair& pair) {
  const auto upper = pair.upper.split_with_sizes({3, 2, 2, 1});
  const auto lower = pair.lower.split_with_sizes({3, 2, 2});
  const auto N_lower = static_cast<double>(w.size(0)), N_upper = static_cast<double>(w.size(1));
  const auto batch = static_cast<double>(pair.x_upper.size(1));

  const auto direct = at::bmm(lower[0], upper[0].transpose(1, 2)).unbind();  // w0, w1, rbf
  const auto S_lower =
      symmetric_zero_diagonal(at::bmm(lower[1], lower[2].transpose(1, 2)), 1 / std::sqrt(2 * N_lower));
  const auto S_upper =
      symmetric_zero_diagonal(at::bmm(upper[1], upper[2].transpose(1, 2)), 1 / std::sqrt(2 * N_upper));
  const Tensor psd = upper[3].squeeze(0);
  const Tensor P = at::mm(psd, psd.t()) / std::sqrt(N_upper);
  const Tensor covariance = at::mm(pair.x_upper, pair.x_upper.t()) / (batch * std::sqrt(N_upper));

  const Tensor w2 = w * w;
  const Tensor sign = w.detach().sign();  // has no gradient
  const Tensor q = (w2 + 1).sqrt() - 1;
  const Tensor both = at::stack({w, q});
  const auto below = at::bmm(S_lower, both).unbind();
  const auto above = at::bmm(both, S_upper).unbind();
  const Tensor decorrelate = rms_normalise(at::mm(w, covariance), {0, 1}, 1e-8);

  return at::stack({direct[0], w * direct[1], decorrelate, at::mm(pair.x_lower, pair.x_upper.t()) / -batch,
                    w2 * sign, below[0], at::mm(w, P), above[0], at::exp(-w2) * direct[2], sign * below[1],
                    sign * above[1], w});
}

}  // namespace

Tensor standardise(const Tensor& x) { return rms_normalise(x - x.mean({1}, true), {1}, 1e-6); }

WeightChange weight_change(const Tensor& W, const LayerPair& pair, const Merge& merge) {
  const Tensor w = rms_normalise(W, {0}, 1e-6);
  WeightChange result;
  result.terms = stacked_terms(w, pair);
  const Tensor normalised = rms_normalise(result.terms, {1}, 1.0).view({kTerms, -1});
  const Tensor merged = at::mm(merge.w.unsqueeze(0), normalised).view(W.sizes());
  Tensor change = (merged + merge.b) / static_cast<double>(kTerms);
  change = (change - w * at::relu((change * w).mean())) / std::sqrt(static_cast<double>(kTerms));
  result.delta = rms_normalise(change, {0}, 1.0) - w / 7;
  return result;
}

}  // namespace outerloop::rule::reference
