#pragma once
// The symmetric readouts (docs/update-rule.md, §3.4), y = S p and y = p S, and their adjoints, with
//     S = zero-diagonal((R + Rᵀ) / √2) / √U,   R = row · colᵀ / K,   row and col [U, K], dense.
// S is either formed, U² numbers, or multiplied factored: S p = α (row (colᵀp) + col (rowᵀp)) − diagonal · p.
// The variant with fewer multiplications is used: factored if S is large compared with p's other side; then
// nothing of size U² is stored. docs/update-rule.md, §6, has the derivation.
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
  const Products<Real>& products;
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
    products.multiply(product, workspace);
  }
};

/// The side of the symmetric matrix: S p with p [units, others], or p S with p [others, units].
enum class Side { left, right };

/// The products that make up S p and p S when S is factored; A: [units, K], dense.
template <class Real>
struct FactoredProducts {
  const Multiplier<Real>& multiply;
  Side side;
  std::int64_t units, others, K;

  /// factor = scale · Aᵀp [K, others] on the left, scale · p A [others, K] on the right.
  void project(const Real* A, const View<Real>& p, Real scale, Real* factor) const;
  /// y = A factor, or factor Aᵀ.
  void expand(const Real* A, const Real* factor, Real* y, std::int64_t y_row, bool accumulate) const;
  /// d[units, K] = g factorᵀ, or gᵀ factor; g has the shape of p.
  void gradient(const View<Real>& g, const Real* factor, Real* d, bool accumulate) const;
};

/// d_row = Q col and d_col = Q row for the symmetric Q[n, n], rows `Q_row` apart. All others [n, K].
template <class Real>
void readout_gradients(const Multiplier<Real>& multiply, std::int64_t n, std::int64_t K, const Real* Q,
                       std::int64_t Q_row, const Real* row, const Real* col, Real* d_row, Real* d_col);

/// Whether products with S take fewer multiplications factored. Forward's are compared; backward has twice as
/// many in either variant.
inline bool factored_is_cheaper(std::int64_t units, std::int64_t others, std::int64_t K) {
  return 4 * others * K < units * (K + others);
}

template <class Real>
class SymmetricReadout {
 public:
  SymmetricReadout(const WeightTermKernels<Real>& kernels, Side side, std::int64_t units, std::int64_t others,
                   std::int64_t K);

  std::int64_t kept_numbers() const;                                 ///< kept by forward for backward
  std::int64_t workspace_numbers() const { return kept_numbers(); }  ///< for backward; forward needs none

  /// Writes y, rows `y_row` apart; p is dense.
  void forward(const Multiplier<Real>& multiply, const Real* row, const Real* col, const Real* p, Real* y,
               std::int64_t y_row, Real* kept) const;

  /// Adds to dp, dense; writes d_row and d_col. `kept` is only read.
  void backward(const Multiplier<Real>& multiply, const Real* row, const Real* col, const Real* p, Real* kept,
                const Real* dy, std::int64_t dy_row, Real* dp, Real* d_row, Real* d_col,
                Real* workspace) const;

 private:
  struct Factors {
    Real* of_col;    ///< α colᵀp, or α p col
    Real* of_row;    ///< α rowᵀp, or α p row
    Real* diagonal;  ///< [units]: α K (R + Rᵀ)[i, i]
  };
  FactoredProducts<Real> products(const Multiplier<Real>& multiply) const;
  Factors factors(Real* block) const;
  std::int64_t p_row() const { return side_ == Side::left ? others_ : units_; }
  void multiply_by(const Multiplier<Real>& multiply, const Real* S, const View<Real>& p, Real* y,
                   std::int64_t y_row, bool accumulate) const;
  void apply(const FactoredProducts<Real>& products, const Real* row, const Real* col, const View<Real>& p,
             const Factors& f, Real* y, std::int64_t y_row, bool accumulate) const;
  void formed_backward(const Multiplier<Real>& multiply, const Real* row, const Real* col, const Real* p,
                       const Real* S, const View<Real>& dy, Real* dp, Real* d_row, Real* d_col,
                       Real* workspace) const;
  void diagonal_gradient(const Real* dy, std::int64_t dy_row, const Real* p, Real* d_diagonal) const;

  const WeightTermKernels<Real>& kernels_;
  Side side_;
  std::int64_t units_, others_, K_;
  Real alpha_;  ///< 1 / (K √(2 units))
  bool factored_;
};

}  // namespace outerloop::rule::fused
