#pragma once
// Elementwise kernels of the weight change: the twelve terms from the results of the matrix products, their
// sums over columns, and their adjoints. n = N_lower rows, m = N_upper columns; everything is
// row-major and dense. Sums over rows run in order, in blocks that are added up in double: the same bits for
// any alignment.
#include <array>
#include <cstdint>

#include "common/rule/fused/instruction_set.h"
#include "common/rule/fused/weight_change.h"

namespace outerloop::rule::fused {

/// The results of the products, before they are multiplied by functions of w; `fields` is [n, kFields, m].
enum Field {
  kFieldDecorrelate,  ///< c = w · (ûᵀû / B / √N_upper), before it is divided by its rms
  kFieldPsd,          ///< w P
  kFieldLinUpper,     ///< w S(lin_upper)
  kFieldSqrUpper,     ///< q S(sqr_upper), q = √(1+w²) − 1
  kFieldLinLower,     ///< S(lin_lower) w
  kFieldSqrLower,     ///< S(sqr_lower) q
  kFieldW0,           ///< R(w0)
  kFieldW1,           ///< R(w1)
  kFieldRbf,          ///< R(rbf)
  kFieldHebb,         ///< −l̂ᵀû / B
  kFields
};

/// Indices of the terms in the order of docs/update-rule.md, §3.4, which is that of m_k.
enum Term {
  kZeroOrder,
  kFirstOrder,
  kDecorrelate,
  kHebb,
  kLargeDecay,
  kLinLower,
  kLinUpperPsd,
  kLinUpper,
  kRbf,
  kSqrLower,
  kSqrUpper,
  kWBase
};

/// A layer's normalised weights w, functions of w, and the fields: the operands of the terms.
template <class Real>
struct TermInput {
  std::int64_t n = 0, m = 0;
  const Real* w = nullptr;         ///< [n, m]
  const Real* gaussian = nullptr;  ///< [n, m]: exp(−w²)
  const Real* fields = nullptr;    ///< [n, kFields, m]
};

/// Kernels of one instruction set. A "mean" is over the n rows: one number per column.
template <class Real>
struct WeightTermKernels {
  /// out[m] = mean_i a[i, j] b[i, j]. Rows of a are `a_row` apart.
  void (*product_means)(std::int64_t n, std::int64_t m, const Real* a, std::int64_t a_row, const Real* b,
                        Real* out);

  /// out = 1 / sqrt(offset + in), elementwise; in may be out.
  void (*inverse_roots)(std::int64_t count, const Real* in, Real offset, Real* out);

  /// w = W · rstd[j];  q = √(1 + w²) − 1;  gaussian = exp(−w²).
  void (*expand)(std::int64_t n, std::int64_t m, const Real* W, const Real* rstd, Real* w, Real* q,
                 Real* gaussian);

  /// y = alpha[j] a + beta[j] b, added to the contents of y if `accumulate`. y may be a or b.
  void (*combine)(std::int64_t n, std::int64_t m, const Real* a, const Real* alpha, const Real* b,
                  const Real* beta, Real* y, bool accumulate);

  /// out[kTerms, m] = mean_i t_k². For decorr_x, t is the field c, here and below.
  void (*square_means)(const TermInput<Real>& input, Real* out);

  /// y[n, m] = offset + Σ_k coefficient[k, j] t_k.
  void (*merge)(const TermInput<Real>& input, const Real* coefficient, Real offset, Real* y);

  /// out[kTerms + 1, m] = mean_i d t_k, and mean_i d in the last row.
  void (*merge_means)(const TermInput<Real>& input, const Real* d, Real* out);

  /// With dt_k = alpha[k, j] d − beta[k, j] t_k: writes d_fields [n, kFields, m], and adds to dw the part
  /// that flows directly through w (not through the fields). d: [n, m].
  void (*merge_backward)(const TermInput<Real>& input, const Real* d, const Real* alpha, const Real* beta,
                         Real* d_fields, Real* dw);

  /// dw += dq · w / √(1 + w²), elementwise.
  void (*root_backward)(std::int64_t count, const Real* w, const Real* q, const Real* dq, Real* dw);

  /// In place: a[n, n], rows `row` apart, becomes scale · (a + aᵀ), with zeros on the diagonal if requested.
  void (*symmetrise)(std::int64_t n, Real* a, std::int64_t row, Real scale, bool zero_diagonal);

  /// out[i] = scale · Σ_j a[i, j] b[i, j]: one number per row. Rows of a and b are `a_row`, `b_row` apart.
  void (*row_products)(std::int64_t n, std::int64_t m, const Real* a, std::int64_t a_row, const Real* b,
                       std::int64_t b_row, Real scale, Real* out);

  /// y[i, j] −= factor[i] a[i, j].
  void (*subtract_rows)(std::int64_t n, std::int64_t m, const Real* a, std::int64_t a_row, const Real* factor,
                        Real* y, std::int64_t y_row);

  /// y[i, j] −= factor[j] a[i, j].
  void (*subtract_columns)(std::int64_t n, std::int64_t m, const Real* a, std::int64_t a_row,
                           const Real* factor, Real* y, std::int64_t y_row);
};

/// The table for float or double; lives for the whole process.
template <class Real>
const WeightTermKernels<Real>& weight_term_kernels(InstructionSet set);

}  // namespace outerloop::rule::fused
