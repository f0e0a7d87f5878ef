#pragma once
// Kernels along the rows of a [units, batch] matrix: batch norm over the batch followed by a unit's bias and
// non-linearity, standardisation, and their adjoints. Rows are dense and may begin anywhere; the
// bits of a row depend neither on where it begins nor on its neighbours. Sums are in float64.
#include <cstdint>

#include "common/rule/fused/instruction_set.h"
#include "common/rule/phi.h"

namespace outerloop::rule::fused {

/// Added to the variance, here and in BN0 (docs/update-rule.md, §2).
inline constexpr double kRowEpsilon = 1e-6;

/// Kernels of one instruction set. Every pointer is to [rows, columns] or, where so marked, to [rows].
template <class Real>
struct RowKernels {
  /// u = (x − mean)·rstd with rstd [rows] = 1/sqrt(mean((x − mean)²) + 1e-6), means over the columns. `u` may
  /// be `x`.
  void (*standardise)(std::int64_t rows, std::int64_t columns, const Real* x, Real* u, Real* rstd) = nullptr;

  /// Its adjoint: adds rstd·(du − mean(du) − u·mean(du·u)) to `dx`. `dx` may not be `du`.
  void (*standardise_backward)(std::int64_t rows, std::int64_t columns, const Real* u, const Real* rstd,
                               const Real* du, Real* dx) = nullptr;

  /// BN0, bias and non-linearity: `z` is the pre-activation y on entry and standardised y + bias [rows] on
  /// return; x = f(z). Slopes below zero: leaky_relu 0.2, elu's alpha 1; swish is z·sigmoid(z), step 1 above
  /// zero.
  void (*activate)(Nonlinearity kind, std::int64_t rows, std::int64_t columns, const Real* bias, Real* z,
                   Real* x, Real* rstd) = nullptr;

  /// Its adjoint. `dx` is the gradient by x on entry and by y on return; `dz` (null: zero) is the gradient
  /// that reaches z on other paths; the gradient by the bias is added to `d_bias` [rows]. At zero, f′ of
  /// relu, leaky_relu and step is the derivative from below.
  void (*activate_backward)(Nonlinearity kind, std::int64_t rows, std::int64_t columns, const Real* bias,
                            const Real* z, const Real* rstd, const Real* dz, Real* dx,
                            Real* d_bias) = nullptr;
};

/// The table for float or double; lives for the whole process.
template <class Real>
const RowKernels<Real>& row_kernels(InstructionSet set);

}  // namespace outerloop::rule::fused
