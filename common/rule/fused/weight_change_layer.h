#pragma once
// One layer of WeightChange with its memory: forward in weight_change.cpp, adjoint in
// weight_change_backward.cpp. The letters are those of the equations: n = N_lower, m = N_upper, B examples,
// K = B · G.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "common/rule/fused/arena.h"
#include "common/rule/fused/symmetric_readout.h"
#include "common/rule/fused/weight_change.h"
#include "common/rule/fused/weight_terms.h"

namespace outerloop::rule::fused::detail {

inline constexpr double kEpsilonW = 1e-6;  ///< of w's column norm
inline constexpr double kEpsilonDecorrelate = 1e-8;
inline constexpr double kWeightShare = 7;  ///< ΔW = n(Δ) − w / 7
inline constexpr std::int64_t kRight = 3;  ///< matrices that w is multiplied by: covariance, P, S(lin_upper)

/// A layer's sizes in the letters of the equations.
struct Letters {
  std::int64_t n, m, B, K;
  explicit Letters(const WeightChangeSize& size);  ///< throws Error for a size below 1
  std::int64_t fields_row() const { return kFields * m; }
  /// Whether w is multiplied by the upper layer's matrices in factored form: for an upper layer much wider
  /// than the lower.
  bool upper_factored() const { return factored_is_cheaper(m, n, K); }
  std::int64_t right_numbers() const { return upper_factored() ? n * (B + K) : m * kRight * m; }
  std::int64_t longest_sum() const { return std::max({K, n, B, kRight * m}); }
};

/// S(lin_lower) and S(sqr_lower), which stand on the left of w.
template <class Real>
SymmetricReadout<Real> lower_readout(const WeightTermKernels<Real>& kernels, const Letters& l) {
  return SymmetricReadout<Real>(kernels, Side::left, l.n, l.m, l.K);
}

/// S(lin_upper) and S(sqr_upper), which stand on its right.
template <class Real>
SymmetricReadout<Real> upper_readout(const WeightTermKernels<Real>& kernels, const Letters& l) {
  return SymmetricReadout<Real>(kernels, Side::right, l.m, l.n, l.K);
}

/// Values that forward keeps for backward.
template <class Real>
struct Kept {
  Real* rstd;          ///< [m]: of W's columns
  Real* w;             ///< [n, m]
  Real* q;             ///< [n, m]: √(1+w²) − 1
  Real* gaussian;      ///< [n, m]: exp(−w²)
  Real* fields;        ///< [n, kFields, m]
  Real* right;         ///< [m, kRight, m]: ûûᵀ / (B √m), P, S(lin_upper), each symmetric;
                       ///< or factored: w û / (B √m) [n, B], w r / (K √m) [n, K]
  Real* lin_upper;     ///< as in SymmetricReadout, except that `right` holds its matrix with the others
  Real* sqr_upper;     ///< as in SymmetricReadout
  Real* lin_lower;     ///< as in SymmetricReadout
  Real* sqr_lower;     ///< as in SymmetricReadout
  Real* term_scale;    ///< [kTerms, m]: n(t) = t · term_scale
  Real* change;        ///< [n, m]: Δ
  Real* change_scale;  ///< [m]: n(Δ) = Δ · change_scale
  Real* scalars;       ///< [2]: 1/rms of c; relu(mean(Δ·w))

  Kept(Arena<Real>& arena, const Letters& l, const SymmetricReadout<Real>& lower,
       const SymmetricReadout<Real>& upper)
      : rstd(arena.take(l.m)),
        w(arena.take(l.n * l.m)),
        q(arena.take(l.n * l.m)),
        gaussian(arena.take(l.n * l.m)),
        fields(arena.take(l.n * l.fields_row())),
        right(arena.take(l.right_numbers())),
        lin_upper(arena.take(l.upper_factored() ? upper.kept_numbers() : 0)),
        sqr_upper(arena.take(upper.kept_numbers())),
        lin_lower(arena.take(lower.kept_numbers())),
        sqr_lower(arena.take(lower.kept_numbers())),
        term_scale(arena.take(kTerms * l.m)),
        change(arena.take(l.n * l.m)),
        change_scale(arena.take(l.m)),
        scalars(arena.take(2)) {}

  TermInput<Real> term_input(const Letters& l) const { return {l.n, l.m, w, gaussian, fields}; }
};

/// Numbers per column that live for a few lines.
template <class Real>
struct Columns {
  Real* alpha;  ///< [kTerms, m]
  Real* beta;   ///< [kTerms, m]
  Real* means;  ///< [kTerms + 1, m]

  Columns(Arena<Real>& arena, const Letters& l)
      : alpha(arena.take(kTerms * l.m)),
        beta(arena.take(kTerms * l.m)),
        means(arena.take((kTerms + 1) * l.m)) {}
};

/// Gradients inside backward.
template <class Real>
struct Scratch {
  Real* d_merged;   ///< [n, m]: by Σ_k m_k n(term_k) / 12
  Real* dw;         ///< [n, m]
  Real* dq;         ///< [n, m]
  Real* d_fields;   ///< [n, kFields, m]
  Real* d_right;    ///< of the size of Kept's right: gradients by what was formed, or factors of the gradient
  Real* symmetric;  ///< what SymmetricReadout needs

  Scratch(Arena<Real>& arena, const Letters& l, const SymmetricReadout<Real>& lower,
          const SymmetricReadout<Real>& upper)
      : d_merged(arena.take(l.n * l.m)),
        dw(arena.take(l.n * l.m)),
        dq(arena.take(l.n * l.m)),
        d_fields(arena.take(l.n * l.fields_row())),
        d_right(arena.take(l.right_numbers())),
        symmetric(arena.take(std::max(lower.workspace_numbers(), upper.workspace_numbers()))) {}
};

template <class Real>
double mean_of(const Real* x, std::int64_t count) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += static_cast<double>(x[i]);
  return sum / static_cast<double>(count);
}

/// R(name; h^lower, h^upper): its destination and its linears.
struct DirectReadout {
  Field field;
  LowerReadout row;
  UpperReadout col;
};
inline constexpr DirectReadout kDirectReadouts[] = {
    {kFieldW0, kW0Row, kW0Col}, {kFieldW1, kW1Row, kW1Col}, {kFieldRbf, kRbfRow, kRbfCol}};

/// One layer with the state that its functions share.
template <class Real>
struct Layer {
  Letters l;
  const WeightTermKernels<Real>& kernels;
  SymmetricReadout<Real> lower, upper;
  const WeightChangeInput<Real>& input;
  Multiplier<Real> multiply;
  Kept<Real> kept;
  Columns<Real> columns;

  /// Takes its workspace from `arena` and its kept values from `keeper`, which may be the same.
  Layer(const Letters& letters, const Products<Real>& products, const WeightTermKernels<Real>& terms,
        const WeightChangeInput<Real>& in, Arena<Real>& arena, Arena<Real>* keeper)
      : l(letters),
        kernels(terms),
        lower(lower_readout(terms, l)),
        upper(upper_readout(terms, l)),
        input(in),
        multiply{products, arena.take(products.workspace(l.longest_sum()))},
        kept(*keeper, l, lower, upper),
        columns(arena, l) {}

  double covariance_scale() const {
    return 1 / (static_cast<double>(l.B) * std::sqrt(static_cast<double>(l.m)));
  }
  double psd_scale() const { return 1 / (static_cast<double>(l.K) * std::sqrt(static_cast<double>(l.m))); }
  double upper_scale() const { return psd_scale() / std::sqrt(2.0); }
  FactoredProducts<Real> covariance() const { return {multiply, Side::right, l.m, l.n, l.B}; }
  FactoredProducts<Real> psd() const { return {multiply, Side::right, l.m, l.n, l.K}; }
  Real* right(int which) const { return kept.right + which * l.m; }
  Real* field(Field which) const { return kept.fields + which * l.m; }

  void fill(Real* column, double value) const { std::fill_n(column, l.m, static_cast<Real>(value)); }
  void combine(const Real* a, const Real* alpha, const Real* b, const Real* beta, Real* y,
               bool accumulate = false) const {
    kernels.combine(l.n, l.m, a, alpha, b, beta, y, accumulate);
  }
  /// The mean over the matrix of a · b; the means of its columns stay in columns.means.
  double mean_product(const Real* a, const Real* b) const {
    kernels.product_means(l.n, l.m, a, l.m, b, columns.means);
    return mean_of(columns.means, l.m);
  }

  void forward(Real* delta) const;
  void backward(const Real* g, const WeightChangeGradient<Real>& gradient, const Scratch<Real>& s) const;

 private:
  void normalise() const;
  void multiply_right() const;
  void multiply_right_formed() const;
  void multiply_right_factored() const;
  void multiply_direct() const;
  void multiply_lower() const;
  void merge(Real* delta) const;
  void merge_backward(const Real* g, const WeightChangeGradient<Real>& gradient,
                      const Scratch<Real>& s) const;
  void project_backward(const Real* g, const Scratch<Real>& s) const;
  void merge_coefficients(const WeightChangeGradient<Real>& gradient) const;
  void right_backward(const WeightChangeGradient<Real>& gradient, const Scratch<Real>& s) const;
  void right_formed_backward(const WeightChangeGradient<Real>& gradient, const Scratch<Real>& s) const;
  void right_factored_backward(const WeightChangeGradient<Real>& gradient, const Scratch<Real>& s) const;
  void direct_backward(const WeightChangeGradient<Real>& gradient, const Scratch<Real>& s) const;
  void lower_backward(const WeightChangeGradient<Real>& gradient, const Scratch<Real>& s) const;
  void normalise_backward(const WeightChangeGradient<Real>& gradient, const Scratch<Real>& s) const;
};

}  // namespace outerloop::rule::fused::detail
