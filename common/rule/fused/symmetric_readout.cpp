#include "common/rule/fused/symmetric_readout.h"

#include <cmath>

namespace outerloop::rule::fused {

template <class Real>
void FactoredProducts<Real>::project(const Real* A, const View<Real>& p, Real scale, Real* factor) const {
  if (side == Side::left)
    multiply(K, others, units, rows_of(A, K).transposed(), p, factor, others, scale);
  else
    multiply(others, K, units, p, rows_of(A, K), factor, K, scale);
}

template <class Real>
void FactoredProducts<Real>::expand(const Real* A, const Real* factor, Real* y, std::int64_t y_row,
                                    bool accumulate) const {
  if (side == Side::left)
    multiply(units, others, K, rows_of(A, K), rows_of(factor, others), y, y_row, 1, accumulate);
  else
    multiply(others, units, K, rows_of(factor, K), rows_of(A, K).transposed(), y, y_row, 1, accumulate);
}

template <class Real>
void FactoredProducts<Real>::gradient(const View<Real>& g, const Real* factor, Real* d,
                                      bool accumulate) const {
  if (side == Side::left)
    multiply(units, K, others, g, rows_of(factor, others).transposed(), d, K, 1, accumulate);
  else
    multiply(units, K, others, g.transposed(), rows_of(factor, K), d, K, 1, accumulate);
}

template <class Real>
void readout_gradients(const Multiplier<Real>& multiply, std::int64_t n, std::int64_t K, const Real* Q,
                       std::int64_t Q_row, const Real* row, const Real* col, Real* d_row, Real* d_col) {
  multiply(n, K, n, rows_of(Q, Q_row), rows_of(col, K), d_row, K);
  multiply(n, K, n, rows_of(Q, Q_row), rows_of(row, K), d_col, K);
}

template <class Real>
SymmetricReadout<Real>::SymmetricReadout(const WeightTermKernels<Real>& kernels, Side side,
                                         std::int64_t units, std::int64_t others, std::int64_t K)
    : kernels_(kernels),
      side_(side),
      units_(units),
      others_(others),
      K_(K),
      alpha_(static_cast<Real>(1 / (static_cast<double>(K) * std::sqrt(2 * static_cast<double>(units))))),
      factored_(factored_is_cheaper(units, others, K)) {}

template <class Real>
std::int64_t SymmetricReadout<Real>::kept_numbers() const {
  return factored_ ? 2 * K_ * others_ + units_ : units_ * units_;
}

template <class Real>
FactoredProducts<Real> SymmetricReadout<Real>::products(const Multiplier<Real>& multiply) const {
  return {multiply, side_, units_, others_, K_};
}

template <class Real>
typename SymmetricReadout<Real>::Factors SymmetricReadout<Real>::factors(Real* block) const {
  return {block, block + K_ * others_, block + 2 * K_ * others_};
}

/// y = S p or p S with S as a matrix.
template <class Real>
void SymmetricReadout<Real>::multiply_by(const Multiplier<Real>& multiply, const Real* S, const View<Real>& p,
                                         Real* y, std::int64_t y_row, bool accumulate) const {
  if (side_ == Side::left)
    multiply(units_, others_, units_, rows_of(S, units_), p, y, y_row, 1, accumulate);
  else
    multiply(others_, units_, units_, p, rows_of(S, units_), y, y_row, 1, accumulate);
}

/// y = S p or p S factored; leaves the factors of p in `f`, whose diagonal is already set.
template <class Real>
void SymmetricReadout<Real>::apply(const FactoredProducts<Real>& products, const Real* row, const Real* col,
                                   const View<Real>& p, const Factors& f, Real* y, std::int64_t y_row,
                                   bool accumulate) const {
  products.project(col, p, alpha_, f.of_col);
  products.project(row, p, alpha_, f.of_row);
  products.expand(row, f.of_col, y, y_row, accumulate);
  products.expand(col, f.of_row, y, y_row, true);
  if (side_ == Side::left)
    kernels_.subtract_rows(units_, others_, p.data, p.row, f.diagonal, y, y_row);
  else
    kernels_.subtract_columns(others_, units_, p.data, p.row, f.diagonal, y, y_row);
}

template <class Real>
void SymmetricReadout<Real>::forward(const Multiplier<Real>& multiply, const Real* row, const Real* col,
                                     const Real* p, Real* y, std::int64_t y_row, Real* kept) const {
  if (factored_) {
    const Factors f = factors(kept);
    kernels_.row_products(units_, K_, row, K_, col, K_, 2 * alpha_, f.diagonal);
    apply(products(multiply), row, col, rows_of(p, p_row()), f, y, y_row, false);
    return;
  }
  multiply(units_, units_, K_, rows_of(row, K_), rows_of(col, K_).transposed(), kept, units_);
  kernels_.symmetrise(units_, kept, units_, alpha_, true);
  multiply_by(multiply, kept, rows_of(p, p_row()), y, y_row, false);
}

/// forward: y = S p, S = Sᵀ; so dp += S dy, and row and col get (dS + dSᵀ) without its diagonal, dS = dy pᵀ.
template <class Real>
void SymmetricReadout<Real>::formed_backward(const Multiplier<Real>& multiply, const Real* row,
                                             const Real* col, const Real* p, const Real* S,
                                             const View<Real>& dy, Real* dp, Real* d_row, Real* d_col,
                                             Real* workspace) const {
  multiply_by(multiply, S, dy, dp, p_row(), true);
  const View<Real> p_rows = rows_of(p, p_row());
  if (side_ == Side::left)
    multiply(units_, units_, others_, dy, p_rows.transposed(), workspace, units_);
  else
    multiply(units_, units_, others_, p_rows.transposed(), dy, workspace, units_);
  kernels_.symmetrise(units_, workspace, units_, alpha_, true);
  readout_gradients(multiply, units_, K_, workspace, units_, row, col, d_row, d_col);
}

/// diagonal_i = 2α row_i · col_i; on return d_diagonal is 2α Σ dy p over p's other side: the factor of col_i
/// in d_row_i, and of row_i in d_col_i.
template <class Real>
void SymmetricReadout<Real>::diagonal_gradient(const Real* dy, std::int64_t dy_row, const Real* p,
                                               Real* d_diagonal) const {
  if (side_ == Side::left) {
    kernels_.row_products(units_, others_, dy, dy_row, p, p_row(), 2 * alpha_, d_diagonal);
    return;
  }
  kernels_.product_means(others_, units_, dy, dy_row, p, d_diagonal);
  for (std::int64_t i = 0; i < units_; ++i) d_diagonal[i] *= 2 * alpha_ * static_cast<Real>(others_);
}

template <class Real>
void SymmetricReadout<Real>::backward(const Multiplier<Real>& multiply, const Real* row, const Real* col,
                                      const Real* p, Real* kept, const Real* dy, std::int64_t dy_row,
                                      Real* dp, Real* d_row, Real* d_col, Real* workspace) const {
  const View<Real> G = rows_of(dy, dy_row), p_rows = rows_of(p, p_row());
  if (!factored_) {
    formed_backward(multiply, row, col, p, kept, G, dp, d_row, d_col, workspace);
    return;
  }
  // forward: y = row (α colᵀp) + col (α rowᵀp) − diagonal p.
  const FactoredProducts<Real> factored = products(multiply);
  const Factors f = factors(kept);
  Factors g = factors(workspace);
  Real* const d_diagonal = g.diagonal;
  g.diagonal = f.diagonal;
  apply(factored, row, col, G, g, dp, p_row(), true);
  factored.gradient(G, f.of_col, d_row, false);
  factored.gradient(p_rows, g.of_col, d_row, true);
  factored.gradient(G, f.of_row, d_col, false);
  factored.gradient(p_rows, g.of_row, d_col, true);
  diagonal_gradient(dy, dy_row, p, d_diagonal);
  kernels_.subtract_rows(units_, K_, col, K_, d_diagonal, d_row, K_);
  kernels_.subtract_rows(units_, K_, row, K_, d_diagonal, d_col, K_);
}

template void readout_gradients<float>(const Multiplier<float>&, std::int64_t, std::int64_t, const float*,
                                       std::int64_t, const float*, const float*, float*, float*);
template void readout_gradients<double>(const Multiplier<double>&, std::int64_t, std::int64_t, const double*,
                                        std::int64_t, const double*, const double*, double*, double*);
template struct FactoredProducts<float>;
template struct FactoredProducts<double>;
template class SymmetricReadout<float>;
template class SymmetricReadout<double>;

}  // namespace outerloop::rule::fused
