#pragma once
// The weight change of one layer (docs/update-rule.md, §3.4) and its adjoint, on plain arrays.
// Matrices are row-major and dense: [N_lower, N_upper], [units, batch · readout channels], [units, batch].
#include <array>
#include <cstdint>

#include "common/rule/fused/product.h"

namespace outerloop::rule::fused {

template <class Real>
struct WeightTermKernels;

/// Readouts of a layer in storage order; each is a matrix [units, B · G], the batch being the outer index.
enum UpperReadout { kW0Col, kW1Col, kRbfCol, kLinUpperRow, kLinUpperCol, kSqrUpperRow, kSqrUpperCol, kPsd };
enum LowerReadout { kW0Row, kW1Row, kRbfRow, kLinLowerRow, kLinLowerCol, kSqrLowerRow, kSqrLowerCol };
inline constexpr int kUpperReadouts = 8;
inline constexpr int kLowerReadouts = 7;
inline constexpr int kTerms = 12;

struct WeightChangeSize {
  std::int64_t lower = 0;     ///< N_lower
  std::int64_t upper = 0;     ///< N_upper
  std::int64_t batch = 0;     ///< B
  std::int64_t channels = 0;  ///< G
};

template <class Real>
struct WeightChangeInput {
  const Real* W = nullptr;                             ///< [N_lower, N_upper]
  std::array<const Real*, kUpperReadouts> upper = {};  ///< of the upper layer's h, [N_upper, B·G] each
  std::array<const Real*, kLowerReadouts> lower = {};  ///< of the lower layer's h, [N_lower, B·G] each
  const Real* x_upper = nullptr;  ///< û [N_upper, B]: x^upper standardised over the batch
  const Real* x_lower = nullptr;  ///< l̂ [N_lower, B]
  const Real* merge_w = nullptr;  ///< m_k [12]
  Real merge_b = 0;               ///< m_0
};

/// Gradients by the input. All are overwritten, except those by the x, W and merge, which are added to.
template <class Real>
struct WeightChangeGradient {
  Real* W = nullptr;
  std::array<Real*, kUpperReadouts> upper = {};
  std::array<Real*, kLowerReadouts> lower = {};
  Real* x_upper = nullptr;
  Real* x_lower = nullptr;    ///< may be null where it is not needed
  double* merge_w = nullptr;  ///< [12], added to
  double* merge_b = nullptr;  ///< added to
};

/// Works for one size at a time; the caller owns `kept` and `workspace`. Throws Error for a size below 1.
template <class Real>
class WeightChange {
 public:
  /// `pool` null: on the caller's thread.
  explicit WeightChange(InstructionSet set, ThreadPool* pool = nullptr);

  std::int64_t kept_numbers(const WeightChangeSize& size) const;
  std::int64_t workspace_numbers(const WeightChangeSize& size) const;

  /// delta[N_lower, N_upper] = ΔW. `kept` [kept_numbers] is read by `backward`; it may be null if no gradient
  /// will be computed (it is then part of the workspace).
  void forward(const WeightChangeSize& size, const WeightChangeInput<Real>& input, Real* delta, Real* kept,
               Real* workspace) const;

  /// `d_delta` [N_lower, N_upper] is the gradient by ΔW; it may be overwritten.
  void backward(const WeightChangeSize& size, const WeightChangeInput<Real>& input, const Real* kept,
                Real* d_delta, const WeightChangeGradient<Real>& gradient, Real* workspace) const;

 private:
  Products<Real> products_;
  const WeightTermKernels<Real>& terms_;
};

}  // namespace outerloop::rule::fused
