#include <cmath>

#include "common/rule/fused/weight_change_layer.h"

namespace outerloop::rule::fused::detail {

/// forward: ΔW = n(Δ) − w/7, Δ = (Δ' − w relu(mean(Δ'·w))) / √12. From g, the gradient by ΔW: s.d_merged by
/// Δ', and s.dw.
template <class Real>
void Layer<Real>::project_backward(const Real* g, const Scratch<Real>& s) const {
  const double root = std::sqrt(static_cast<double>(kTerms));
  const auto along = static_cast<double>(kept.scalars[1]);
  mean_product(g, kept.change);
  for (std::int64_t j = 0; j < l.m; ++j) {
    // y = Δ scale: dΔ = scale (g − y mean(g y))
    const auto scale = static_cast<double>(kept.change_scale[j]),
               mean = static_cast<double>(columns.means[j]);
    columns.alpha[j] = static_cast<Real>(scale / root);
    columns.beta[j] = static_cast<Real>(-scale * scale * scale * mean / root);
  }
  combine(g, columns.alpha, kept.change, columns.beta, s.d_merged);
  const double d_mean = along > 0 ? -mean_product(s.d_merged, kept.w) : 0;
  fill(columns.alpha, -1 / kWeightShare);
  fill(columns.beta, -along);
  combine(g, columns.alpha, s.d_merged, columns.beta, s.dw);
  if (along > 0) {
    // mean(Δ'·w) gives d_mean w to Δ' and d_mean Δ' to w; Δ' = √12 Δ + along w.
    fill(columns.alpha, 1);
    fill(columns.beta, d_mean);
    combine(s.d_merged, columns.alpha, kept.w, columns.beta, s.d_merged);
    fill(columns.alpha, d_mean * root);
    fill(columns.beta, d_mean * along);
    combine(kept.change, columns.alpha, kept.w, columns.beta, s.dw, true);
  }
}

/// forward: Δ' = (Σ_k m_k n(t_k) + m_0) / 12. From columns.means, the means of d Δ' · t_k: the gradients by
/// m_k, m_0, and alpha, beta with dt_k = alpha dΔ' − beta t_k.
template <class Real>
void Layer<Real>::merge_coefficients(const WeightChangeGradient<Real>& gradient) const {
  const std::int64_t m = l.m;
  const auto c_scale = static_cast<double>(kept.scalars[0]);
  const auto rows = static_cast<double>(l.n);
  for (int k = 0; k < kTerms; ++k) {
    const double share = static_cast<double>(input.merge_w[k]) / kTerms;
    const double t_scale = k == kDecorrelate ? c_scale : 1;  // t = c / rms(c)
    double d_share = 0, d_rms = 0;
    for (std::int64_t j = k * m; j < (k + 1) * m; ++j) {
      const auto scale = static_cast<double>(kept.term_scale[j]);
      const double mean = t_scale * static_cast<double>(columns.means[j]);
      const double alpha = share * scale, beta = alpha * scale * scale * mean;
      columns.alpha[j] = static_cast<Real>(alpha);
      columns.beta[j] = static_cast<Real>(beta);
      d_share += scale * mean;
      d_rms += beta;  // mean_i dt t, as 1 − scale² mean t² = scale²
    }
    gradient.merge_w[k] += d_share * rows / kTerms;
    if (k != kDecorrelate) continue;
    for (std::int64_t j = k * m; j < (k + 1) * m; ++j) {
      columns.alpha[j] = static_cast<Real>(c_scale * static_cast<double>(columns.alpha[j]));
      columns.beta[j] = static_cast<Real>(
          c_scale * c_scale * (static_cast<double>(columns.beta[j]) + d_rms / static_cast<double>(m)));
    }
  }
  *gradient.merge_b += mean_of(columns.means + kTerms * m, m) * rows * static_cast<double>(m) / kTerms;
}

/// From g, the gradient by ΔW: s.d_fields, the first part of s.dw, and the gradients by m_k and m_0.
template <class Real>
void Layer<Real>::merge_backward(const Real* g, const WeightChangeGradient<Real>& gradient,
                                 const Scratch<Real>& s) const {
  project_backward(g, s);
  kernels.merge_means(kept.term_input(l), s.d_merged, columns.means);
  merge_coefficients(gradient);
  kernels.merge_backward(kept.term_input(l), s.d_merged, columns.alpha, columns.beta, s.d_fields, s.dw);
}

/// Adjoint of multiply_right_formed: adds to s.dw.
template <class Real>
void Layer<Real>::right_formed_backward(const WeightChangeGradient<Real>& gradient,
                                        const Scratch<Real>& s) const {
  const std::int64_t n = l.n, m = l.m, K = l.K, row = kRight * m;
  const auto dy = rows_of(s.d_fields + kFieldDecorrelate * m, l.fields_row());
  Real *const d_covariance = s.d_right, *const d_psd = s.d_right + m, *const d_lin = s.d_right + 2 * m;
  // forward: y = w S for each of three; the S are symmetric, so that [S; S; S] is the transpose of [S S S].
  multiply(n, m, row, dy, rows_of(kept.right, row).transposed(), s.dw, m, 1, true);
  multiply(m, row, n, rows_of(kept.w, m).transposed(), dy, s.d_right, row);
  kernels.symmetrise(m, d_covariance, row, static_cast<Real>(covariance_scale()), false);
  multiply(m, l.B, m, rows_of(d_covariance, row), rows_of(input.x_upper, l.B), gradient.x_upper, l.B, 1,
           true);
  kernels.symmetrise(m, d_psd, row, static_cast<Real>(psd_scale()), false);
  multiply(m, K, m, rows_of(d_psd, row), rows_of(input.upper[kPsd], K), gradient.upper[kPsd], K);
  kernels.symmetrise(m, d_lin, row, static_cast<Real>(upper_scale()), true);
  readout_gradients(multiply, m, K, d_lin, row, input.upper[kLinUpperRow], input.upper[kLinUpperCol],
                    gradient.upper[kLinUpperRow], gradient.upper[kLinUpperCol]);
}

/// Adjoint of multiply_right_factored: adds to s.dw.
template <class Real>
void Layer<Real>::right_factored_backward(const WeightChangeGradient<Real>& gradient,
                                          const Scratch<Real>& s) const {
  const std::int64_t m = l.m, fields_row = l.fields_row();
  const auto w = rows_of(kept.w, m);
  // forward: y = f rᵀ, f = scale w r; so dw += (scale dy r) rᵀ and dr = dyᵀ f + wᵀ (scale dy r).
  const auto gram = [&](const FactoredProducts<Real>& products, const Real* r, Field of, double scale,
                        std::int64_t at, Real* dr, bool accumulate) {
    const auto dy = rows_of(s.d_fields + of * m, fields_row);
    products.project(r, dy, static_cast<Real>(scale), s.d_right + at);
    products.expand(r, s.d_right + at, s.dw, m, true);
    products.gradient(dy, kept.right + at, dr, accumulate);
    products.gradient(w, s.d_right + at, dr, true);
  };
  gram(covariance(), input.x_upper, kFieldDecorrelate, covariance_scale(), 0, gradient.x_upper, true);
  gram(psd(), input.upper[kPsd], kFieldPsd, psd_scale(), l.n * l.B, gradient.upper[kPsd], false);
  upper.backward(multiply, input.upper[kLinUpperRow], input.upper[kLinUpperCol], kept.w, kept.lin_upper,
                 s.d_fields + kFieldLinUpper * m, fields_row, s.dw, gradient.upper[kLinUpperRow],
                 gradient.upper[kLinUpperCol], s.symmetric);
}

/// Adjoint of multiply_right: adds to s.dw and s.dq.
template <class Real>
void Layer<Real>::right_backward(const WeightChangeGradient<Real>& gradient, const Scratch<Real>& s) const {
  if (l.upper_factored())
    right_factored_backward(gradient, s);
  else
    right_formed_backward(gradient, s);
  upper.backward(multiply, input.upper[kSqrUpperRow], input.upper[kSqrUpperCol], kept.q, kept.sqr_upper,
                 s.d_fields + kFieldSqrUpper * l.m, l.fields_row(), s.dq, gradient.upper[kSqrUpperRow],
                 gradient.upper[kSqrUpperCol], s.symmetric);
}

/// Adjoint of multiply_direct.
template <class Real>
void Layer<Real>::direct_backward(const WeightChangeGradient<Real>& gradient, const Scratch<Real>& s) const {
  const std::int64_t n = l.n, m = l.m, K = l.K, B = l.B;
  const Real scale = Real(1) / static_cast<Real>(K);
  for (const auto& d : kDirectReadouts) {
    const auto dR = rows_of(s.d_fields + d.field * m, l.fields_row());
    multiply(n, K, m, dR, rows_of(input.upper[d.col], K), gradient.lower[d.row], K, scale);
    multiply(m, K, n, dR.transposed(), rows_of(input.lower[d.row], K), gradient.upper[d.col], K, scale);
  }
  const Real hebb_scale = Real(-1) / static_cast<Real>(B);
  const auto d_hebb = rows_of(s.d_fields + kFieldHebb * m, l.fields_row());
  multiply(m, B, n, d_hebb.transposed(), rows_of(input.x_lower, B), gradient.x_upper, B, hebb_scale, true);
  if (gradient.x_lower)
    multiply(n, B, m, d_hebb, rows_of(input.x_upper, B), gradient.x_lower, B, hebb_scale, true);
}

/// Adjoint of multiply_lower: adds to s.dw and s.dq.
template <class Real>
void Layer<Real>::lower_backward(const WeightChangeGradient<Real>& gradient, const Scratch<Real>& s) const {
  lower.backward(multiply, input.lower[kLinLowerRow], input.lower[kLinLowerCol], kept.w, kept.lin_lower,
                 s.d_fields + kFieldLinLower * l.m, l.fields_row(), s.dw, gradient.lower[kLinLowerRow],
                 gradient.lower[kLinLowerCol], s.symmetric);
  lower.backward(multiply, input.lower[kSqrLowerRow], input.lower[kSqrLowerCol], kept.q, kept.sqr_lower,
                 s.d_fields + kFieldSqrLower * l.m, l.fields_row(), s.dq, gradient.lower[kSqrLowerRow],
                 gradient.lower[kSqrLowerCol], s.symmetric);
}

/// From the complete s.dw and s.dq to the gradient by W.
template <class Real>
void Layer<Real>::normalise_backward(const WeightChangeGradient<Real>& gradient,
                                     const Scratch<Real>& s) const {
  kernels.root_backward(l.n * l.m, kept.w, kept.q, s.dq, s.dw);
  // forward: w = W rstd; so dW = rstd (dw − w mean(dw w)).
  mean_product(s.dw, kept.w);
  for (std::int64_t j = 0; j < l.m; ++j) columns.beta[j] = -kept.rstd[j] * columns.means[j];
  combine(s.dw, kept.rstd, kept.w, columns.beta, gradient.W, true);
}

/// Everything from g = ∂/∂ΔW.
template <class Real>
void Layer<Real>::backward(const Real* g, const WeightChangeGradient<Real>& gradient,
                           const Scratch<Real>& s) const {
  merge_backward(g, gradient, s);
  direct_backward(gradient, s);
  std::fill_n(s.dq, l.n * l.m, Real(0));
  right_backward(gradient, s);
  lower_backward(gradient, s);
  normalise_backward(gradient, s);
}

template void Layer<float>::backward(const float*, const WeightChangeGradient<float>&,
                                     const Scratch<float>&) const;
template void Layer<double>::backward(const double*, const WeightChangeGradient<double>&,
                                      const Scratch<double>&) const;

}  // namespace outerloop::rule::fused::detail
