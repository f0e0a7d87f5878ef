#pragma once
// All tables of kernels of one instruction set, and the work space that the parts of the rule share.
#include <algorithm>
#include <type_traits>
#include <vector>

#include "common/rule/fused/arena.h"
#include "common/rule/fused/constants.h"
#include "common/rule/fused/convolution.h"
#include "common/rule/fused/norm.h"
#include "common/rule/fused/product.h"
#include "common/rule/fused/profile.h"
#include "common/rule/fused/row_kernels.h"
#include "common/rule/fused/signals.h"

namespace outerloop::rule::fused {

/// `mixed`: products of the backward convolutions in bfloat16; only where Real is float, see
/// mixed_convolution_kernels.
template <class Real>
const ConvolutionKernels<Real>& convolution_kernels(InstructionSet set, bool mixed) {
  if constexpr (std::is_same_v<Real, float>)
    if (mixed) return mixed_convolution_kernels(set);
  return convolution_kernels<Real>(set);
}

template <class Real>
struct Kernels {
  Kernels(InstructionSet set, bool mixed)
      : lanes(product_kernels<Real>(set).lanes),
        products(product_kernels<Real>(set)),
        convolutions(convolution_kernels<Real>(set, mixed)),
        signals(signal_kernels<Real>(set)),
        rows(row_kernels<Real>(set)) {}

  std::int64_t lanes;
  const ProductKernels<Real>& products;
  const ConvolutionKernels<Real>& convolutions;
  const SignalKernels<Real>& signals;
  const RowKernels<Real>& rows;
};

/// Sums and coefficients of the batch norm in hand, and memory for kernels. One per engine.
template <class Real>
struct Shared {
  explicit Shared(std::int64_t most_channels) : sums(most_channels), norm_gradient(most_channels) {}

  ChannelSums sums;
  NormGradient<Real> norm_gradient;
  Scratch64 scratch;
  Real* kernel = nullptr;  ///< for convolutions, products, signals and rows in turn
  Profiler* profiler = nullptr;

  void enter(Part part) const {
    if (profiler) profiler->enter(part);
  }

  /// The pass stands behind this batch norm over `count` numbers per channel, for which `sums` hold Σ m and Σ
  /// m ẑ.
  void behind_norm(BackwardPass<Real>& pass, const Real* z, const Norm<Real>& norm, std::int64_t count,
                   const Real* beta, double* d_beta) {
    norm_gradient.finish(sums, count, beta, pass.outputs, norm, d_beta);
    pass.z = z;
    pass.norm = norm.affine();
    pass.a = norm_gradient.a.data();
    pass.b = norm_gradient.b.data();
    pass.c = norm_gradient.c.data();
  }

  /// The pass leaves in `sums` what the batch norm below it needs.
  void sum_for_norm(BackwardPass<Real>& pass) {
    sums.clear();
    pass.sum = sums.first.data();
    pass.sum_normalised = sums.second.data();
  }
};

}  // namespace outerloop::rule::fused
