#pragma once
// y = S p for the symmetric readouts of §3 of docs/update-rule.md, and the adjoint, p and y being [n, m]:
//     S = zero-diagonal((R + Rᵀ) / √2) / √n,   R = row · colᵀ / K,   row and col [n, K], dense.
// S is either formed, n² numbers, or multiplied factored: S p = α (row (colᵀp) + col (rowᵀp)) − diagonal · p.
// The way with fewer multiplications is taken: factored where n is large beside m, and then nothing is n².
#include <cstdint>

#include "common/rule/fused/arena.h"
#include "common/rule/fused/product.h"
#include "common/rule/fused/weight_terms.h"

namespace outerloop::rule::fused {

template <class Real>
View<Real> rows_of(const Real* data, std::int64_t row) {
  return {data, row, 1};
}

/// Matrix products of one instruction set with their workspace.
template <class Real>
struct Multiplier {
  const ProductKernels<Real>& kernels;
  Real* workspace;

  /// c[m, n] = scale · a[m, k] b[k, n], added to c where `accumulate`.
  void operator()(std::int64_t m, std::int64_t n, std::int64_t k, const View<Real>& a, const View<Real>& b,
                  Real* c, std::int64_t c_row, Real scale = 1, bool accumulate = false) const {
    Product<Real> product;
    product.m = m;
    product.n = n;
    product.k = k;
    product.a = a;
    product.b = b;
    product.c = c;
    product.c_row = c_row;
    product.scale = scale;
    product.accumulate = accumulate;
    kernels.multiply(product, workspace);
  }
};

/// d_row = Q col and d_col = Q row for the symmetric Q[n, n], rows `Q_row` apart. All others [n, K].
template <class Real>
void readout_gradients(const Multiplier<Real>& multiply, std::int64_t n, std::int64_t K, const Real* Q,
                       std::int64_t Q_row, const Real* row, const Real* col, Real* d_row, Real* d_col);

template <class Real>
class SymmetricReadout {
 public:
  SymmetricReadout(const WeightTermKernels<Real>& kernels, std::int64_t n, std::int64_t m, std::int64_t K);

  bool factored() const { return factored_; }
  std::int64_t kept_numbers() const;       ///< what backward needs from forward
  std::int64_t workspace_numbers() const;  ///< of backward; forward needs none

  /// Writes y, rows `y_row` apart.
  void forward(const Multiplier<Real>& multiply, const Real* row, const Real* col, const Real* p, Real* y,
               std::int64_t y_row, Real* kept) const;

  /// Adds to dp [n, m]; writes d_row and d_col. `kept` is only read.
  void backward(const Multiplier<Real>& multiply, const Real* row, const Real* col, const Real* p, Real* kept,
                const Real* dy, std::int64_t dy_row, Real* dp, Real* d_row, Real* d_col,
                Real* workspace) const;

 private:
  struct Factors {
    Real* col_p;     ///< [K, m]: α colᵀp
    Real* row_p;     ///< [K, m]: α rowᵀp
    Real* diagonal;  ///< [n]: α (R + Rᵀ)[i, i] K
  };
  Factors factors(Real* block) const;
  void apply(const Multiplier<Real>& multiply, const Real* row, const Real* col, const View<Real>& p,
             const Factors& f, Real* y, std::int64_t y_row, bool accumulate) const;

  const WeightTermKernels<Real>& kernels_;
  std::int64_t n_, m_, K_;
  Real alpha_;  ///< 1 / (K √(2n))
  bool factored_;
};

}  // namespace outerloop::rule::fused
