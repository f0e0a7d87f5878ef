#include "common/rule/fused/symmetric_readout.h"

#include <cmath>

namespace outerloop::rule::fused {

template <class Real>
void readout_gradients(const Multiplier<Real>& multiply, std::int64_t n, std::int64_t K, const Real* Q,
                       std::int64_t Q_row, const Real* row, const Real* col, Real* d_row, Real* d_col) {
  multiply(n, K, n, rows_of(Q, Q_row), rows_of(col, K), d_row, K);
  multiply(n, K, n, rows_of(Q, Q_row), rows_of(row, K), d_col, K);
}

template <class Real>
SymmetricReadout<Real>::SymmetricReadout(const WeightTermKernels<Real>& kernels, std::int64_t n,
                                         std::int64_t m, std::int64_t K)
    : kernels_(kernels),
      n_(n),
      m_(m),
      K_(K),
      alpha_(static_cast<Real>(1 / (static_cast<double>(K) * std::sqrt(2 * static_cast<double>(n))))),
      // Multiply-adds of forward; those of backward are twice as many either way.
      factored_(4 * m * K < n * (K + m)) {}

template <class Real>
std::int64_t SymmetricReadout<Real>::kept_numbers() const {
  return factored_ ? 2 * K_ * m_ + n_ : n_ * n_;
}

template <class Real>
std::int64_t SymmetricReadout<Real>::workspace_numbers() const {
  return kept_numbers();
}

template <class Real>
typename SymmetricReadout<Real>::Factors SymmetricReadout<Real>::factors(Real* block) const {
  return {block, block + K_ * m_, block + 2 * K_ * m_};
}

/// y = S p, and leaves α colᵀp and α rowᵀp in `f`, whose diagonal is there already.
template <class Real>
void SymmetricReadout<Real>::apply(const Multiplier<Real>& multiply, const Real* row, const Real* col,
                                   const View<Real>& p, const Factors& f, Real* y, std::int64_t y_row,
                                   bool accumulate) const {
  multiply(K_, m_, n_, rows_of(col, K_).transposed(), p, f.col_p, m_, alpha_);
  multiply(K_, m_, n_, rows_of(row, K_).transposed(), p, f.row_p, m_, alpha_);
  multiply(n_, m_, K_, rows_of(row, K_), rows_of(f.col_p, m_), y, y_row, 1, accumulate);
  multiply(n_, m_, K_, rows_of(col, K_), rows_of(f.row_p, m_), y, y_row, 1, true);
  kernels_.subtract_rows(n_, m_, p.data, p.row, f.diagonal, y, y_row);
}

template <class Real>
void SymmetricReadout<Real>::forward(const Multiplier<Real>& multiply, const Real* row, const Real* col,
                                     const Real* p, Real* y, std::int64_t y_row, Real* kept) const {
  if (factored_) {
    const Factors f = factors(kept);
    kernels_.row_products(n_, K_, row, K_, col, K_, 2 * alpha_, f.diagonal);
    apply(multiply, row, col, rows_of(p, m_), f, y, y_row, false);
    return;
  }
  multiply(n_, n_, K_, rows_of(row, K_), rows_of(col, K_).transposed(), kept, n_);
  kernels_.symmetrise(n_, kept, n_, alpha_, true);
  multiply(n_, m_, n_, rows_of(kept, n_), rows_of(p, m_), y, y_row);
}

template <class Real>
void SymmetricReadout<Real>::backward(const Multiplier<Real>& multiply, const Real* row, const Real* col,
                                      const Real* p, Real* kept, const Real* dy, std::int64_t dy_row,
                                      Real* dp, Real* d_row, Real* d_col, Real* workspace) const {
  const View<Real> G = rows_of(dy, dy_row);
  if (!factored_) {
    // forward: y = S p, S = Sᵀ; so dp += S dy, and row and col get (dS + dSᵀ) without its diagonal, dS = dy
    // pᵀ.
    multiply(n_, m_, n_, rows_of(kept, n_), G, dp, m_, 1, true);
    multiply(n_, n_, m_, G, rows_of(p, m_).transposed(), workspace, n_);
    kernels_.symmetrise(n_, workspace, n_, alpha_, true);
    readout_gradients(multiply, n_, K_, workspace, n_, row, col, d_row, d_col);
    return;
  }
  // forward: y = row (α colᵀp) + col (α rowᵀp) − diagonal p, diagonal_i = 2α row_i · col_i.
  const Factors f = factors(kept);
  Factors g = factors(workspace);
  Real* const d_diagonal = g.diagonal;
  g.diagonal = f.diagonal;
  apply(multiply, row, col, G, g, dp, m_, true);
  multiply(n_, K_, m_, G, rows_of(f.col_p, m_).transposed(), d_row, K_);
  multiply(n_, K_, m_, rows_of(p, m_), rows_of(g.col_p, m_).transposed(), d_row, K_, 1, true);
  multiply(n_, K_, m_, G, rows_of(f.row_p, m_).transposed(), d_col, K_);
  multiply(n_, K_, m_, rows_of(p, m_), rows_of(g.row_p, m_).transposed(), d_col, K_, 1, true);
  kernels_.row_products(n_, m_, dy, dy_row, p, m_, 2 * alpha_, d_diagonal);
  kernels_.subtract_rows(n_, K_, col, K_, d_diagonal, d_row, K_);
  kernels_.subtract_rows(n_, K_, row, K_, d_diagonal, d_col, K_);
}

template void readout_gradients<float>(const Multiplier<float>&, std::int64_t, std::int64_t, const float*,
                                       std::int64_t, const float*, const float*, float*, float*);
template void readout_gradients<double>(const Multiplier<double>&, std::int64_t, std::int64_t, const double*,
                                        std::int64_t, const double*, const double*, double*, double*);
template class SymmetricReadout<float>;
template class SymmetricReadout<double>;

}  // namespace outerloop::rule::fused
