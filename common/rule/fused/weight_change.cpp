#include "common/rule/fused/weight_change.h"

#include <cmath>
#include <string>

#include "common/base/error.h"
#include "common/rule/fused/weight_change_layer.h"

namespace outerloop::rule::fused {
namespace detail {

Letters::Letters(const WeightChangeSize& size)
    : n(size.lower), m(size.upper), B(size.batch), K(size.batch * size.channels) {
  if (n < 1 || m < 1 || B < 1 || size.channels < 1)
    throw Error("fused engine: a weight change of " + std::to_string(n) + " x " + std::to_string(m) +
                " units, batch " + std::to_string(B) + ", " + std::to_string(size.channels) +
                " readout channels; all must be at least 1");
}

/// w, √(1+w²) − 1 and exp(−w²).
template <class Real>
void Layer<Real>::normalise() const {
  kernels.product_means(l.n, l.m, input.W, l.m, input.W, kept.rstd);
  kernels.inverse_roots(l.m, kept.rstd, static_cast<Real>(kEpsilonW), kept.rstd);
  kernels.expand(l.n, l.m, input.W, kept.rstd, kept.w, kept.q, kept.gaussian);
}

/// w [ûûᵀ, P, S(lin_upper)] in one product.
template <class Real>
void Layer<Real>::multiply_right_formed() const {
  const std::int64_t m = l.m, K = l.K, row = kRight * m;
  const auto u = rows_of(input.x_upper, l.B), r = rows_of(input.upper[kPsd], K);
  multiply(m, m, l.B, u, u.transposed(), right(0), row, static_cast<Real>(covariance_scale()));
  multiply(m, m, K, r, r.transposed(), right(1), row, static_cast<Real>(psd_scale()));
  multiply(m, m, K, rows_of(input.upper[kLinUpperRow], K), rows_of(input.upper[kLinUpperCol], K).transposed(),
           right(2), row);
  kernels.symmetrise(m, right(2), row, static_cast<Real>(upper_scale()), true);
  static_assert(kFieldPsd == kFieldDecorrelate + 1 && kFieldLinUpper == kFieldPsd + 1,
                "one product for three");
  multiply(l.n, row, m, rows_of(kept.w, m), rows_of(kept.right, row), field(kFieldDecorrelate),
           l.fields_row());
}

/// The same as (w û) ûᵀ, (w r) rᵀ and S(lin_upper) factored.
template <class Real>
void Layer<Real>::multiply_right_factored() const {
  const auto w = rows_of(kept.w, l.m);
  Real* const of_u = kept.right;
  Real* const of_r = kept.right + l.n * l.B;
  covariance().project(input.x_upper, w, static_cast<Real>(covariance_scale()), of_u);
  covariance().expand(input.x_upper, of_u, field(kFieldDecorrelate), l.fields_row(), false);
  psd().project(input.upper[kPsd], w, static_cast<Real>(psd_scale()), of_r);
  psd().expand(input.upper[kPsd], of_r, field(kFieldPsd), l.fields_row(), false);
  upper.forward(multiply, input.upper[kLinUpperRow], input.upper[kLinUpperCol], kept.w, field(kFieldLinUpper),
                l.fields_row(), kept.lin_upper);
}

/// w [ûûᵀ, P, S(lin_upper)] and q S(sqr_upper).
template <class Real>
void Layer<Real>::multiply_right() const {
  if (l.upper_factored())
    multiply_right_factored();
  else
    multiply_right_formed();
  upper.forward(multiply, input.upper[kSqrUpperRow], input.upper[kSqrUpperCol], kept.q, field(kFieldSqrUpper),
                l.fields_row(), kept.sqr_upper);
}

/// R(w0), R(w1), R(rbf) and −l̂ᵀû / B.
template <class Real>
void Layer<Real>::multiply_direct() const {
  for (const auto& d : kDirectReadouts)
    multiply(l.n, l.m, l.K, rows_of(input.lower[d.row], l.K), rows_of(input.upper[d.col], l.K).transposed(),
             field(d.field), l.fields_row(), Real(1) / static_cast<Real>(l.K));
  multiply(l.n, l.m, l.B, rows_of(input.x_lower, l.B), rows_of(input.x_upper, l.B).transposed(),
           field(kFieldHebb), l.fields_row(), Real(-1) / static_cast<Real>(l.B));
}

/// S(lin_lower) w and S(sqr_lower) q.
template <class Real>
void Layer<Real>::multiply_lower() const {
  lower.forward(multiply, input.lower[kLinLowerRow], input.lower[kLinLowerCol], kept.w, field(kFieldLinLower),
                l.fields_row(), kept.lin_lower);
  lower.forward(multiply, input.lower[kSqrLowerRow], input.lower[kSqrLowerCol], kept.q, field(kFieldSqrLower),
                l.fields_row(), kept.sqr_lower);
}

/// From the fields to ΔW.
template <class Real>
void Layer<Real>::merge(Real* delta) const {
  const std::int64_t m = l.m;
  kernels.square_means(kept.term_input(l), kept.term_scale);
  Real* const c_means = kept.term_scale + kDecorrelate * m;
  const double c_scale = 1 / std::sqrt(mean_of(c_means, m) + kEpsilonDecorrelate);
  for (std::int64_t j = 0; j < m; ++j) c_means[j] *= static_cast<Real>(c_scale * c_scale);
  kernels.inverse_roots(kTerms * m, kept.term_scale, 1, kept.term_scale);
  for (int k = 0; k < kTerms; ++k) {
    const double share = static_cast<double>(input.merge_w[k]) / kTerms * (k == kDecorrelate ? c_scale : 1);
    for (std::int64_t j = 0; j < m; ++j)
      columns.alpha[k * m + j] = static_cast<Real>(share) * kept.term_scale[k * m + j];
  }
  kernels.merge(kept.term_input(l), columns.alpha, input.merge_b / kTerms, kept.change);

  const double along = std::max(0.0, mean_product(kept.change, kept.w));
  kept.scalars[0] = static_cast<Real>(c_scale);
  kept.scalars[1] = static_cast<Real>(along);
  const double root = std::sqrt(static_cast<double>(kTerms));
  fill(columns.alpha, 1 / root);
  fill(columns.beta, -along / root);
  combine(kept.change, columns.alpha, kept.w, columns.beta, kept.change);
  kernels.product_means(l.n, m, kept.change, m, kept.change, kept.change_scale);
  kernels.inverse_roots(m, kept.change_scale, 1, kept.change_scale);
  fill(columns.beta, -1 / kWeightShare);
  combine(kept.change, kept.change_scale, kept.w, columns.beta, delta);
}

template <class Real>
void Layer<Real>::forward(Real* delta) const {
  normalise();
  multiply_direct();
  multiply_right();
  multiply_lower();
  merge(delta);
}

}  // namespace detail

using detail::Columns;
using detail::Kept;
using detail::Layer;
using detail::Letters;
using detail::Scratch;

template <class Real>
WeightChange<Real>::WeightChange(InstructionSet set, ThreadPool* pool)
    : products_(set, pool), terms_(weight_term_kernels<Real>(set)) {}

template <class Real>
std::int64_t WeightChange<Real>::kept_numbers(const WeightChangeSize& size) const {
  const Letters l(size);
  Arena<Real> arena;
  Kept<Real>(arena, l, detail::lower_readout(terms_, l), detail::upper_readout(terms_, l));
  return arena.used();
}

template <class Real>
std::int64_t WeightChange<Real>::workspace_numbers(const WeightChangeSize& size) const {
  const Letters l(size);
  Arena<Real> arena;
  arena.take(products_.workspace(l.longest_sum()));
  Columns<Real>(arena, l);
  const std::int64_t both = arena.used();
  Scratch<Real>(arena, l, detail::lower_readout(terms_, l), detail::upper_readout(terms_, l));
  return std::max(arena.used(), both + kept_numbers(size));
}

template <class Real>
void WeightChange<Real>::forward(const WeightChangeSize& size, const WeightChangeInput<Real>& input,
                                 Real* delta, Real* kept, Real* workspace) const {
  const Letters l(size);
  Arena<Real> arena(workspace, workspace_numbers(size)), keeper(kept, kept_numbers(size));
  const Layer<Real> layer(l, products_, terms_, input, arena, kept ? &keeper : &arena);
  layer.forward(delta);
}

template <class Real>
void WeightChange<Real>::backward(const WeightChangeSize& size, const WeightChangeInput<Real>& input,
                                  const Real* kept, Real* d_delta, const WeightChangeGradient<Real>& gradient,
                                  Real* workspace) const {
  const Letters l(size);
  // Only read here, but forward writes through the same pointers of Kept.
  Arena<Real> arena(workspace, workspace_numbers(size)), keeper(const_cast<Real*>(kept), kept_numbers(size));
  const Layer<Real> layer(l, products_, terms_, input, arena, &keeper);
  layer.backward(d_delta, gradient, Scratch<Real>(arena, l, layer.lower, layer.upper));
}

template class WeightChange<float>;
template class WeightChange<double>;

}  // namespace outerloop::rule::fused
