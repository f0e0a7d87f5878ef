#pragma once
// The kernel tables of one instruction set, and the workspace shared by the parts of the rule.
#include <algorithm>
#include <type_traits>
#include <vector>

#include "common/rule/fused/arena.h"
#include "common/rule/fused/constant_channels.h"
#include "common/rule/fused/convolution.h"
#include "common/rule/fused/norm.h"
#include "common/rule/fused/product.h"
#include "common/rule/fused/profile.h"
#include "common/rule/fused/row_kernels.h"
#include "common/rule/fused/signals.h"
#include "common/rule/fused/threads.h"

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
  Kernels(InstructionSet set, bool mixed, ThreadPool& pool)
      : lanes(product_kernels<Real>(set).lanes),
        products(set, &pool),
        convolutions(convolution_kernels<Real>(set, mixed)),
        signals(signal_kernels<Real>(set)),
        rows(row_kernels<Real>(set)) {}

  std::int64_t lanes;
  Products<Real> products;
  const ConvolutionKernels<Real>& convolutions;
  const SignalKernels<Real>& signals;
  const RowKernels<Real>& rows;
};

/// Blocks of lines whose sums are held at once. Bounds the memory for layers of any width.
inline constexpr std::int64_t kMostBlocks = 32;

/// Sums and coefficients of the current batch norm, and memory for kernels. One per engine.
template <class Real>
struct Shared {
  Shared(std::int64_t most_channels, ThreadPool& threads)
      : pool(threads),
        sums(most_channels),
        partial_sums(static_cast<std::size_t>(3 * most_channels * kMostBlocks)),
        norm_gradient(most_channels) {}

  ThreadPool& pool;
  ChannelSums sums;
  std::vector<double> partial_sums;  ///< of for_line_blocks
  Real* partial_weights = nullptr;   ///< of for_line_blocks
  NormGradient<Real> norm_gradient;
  Scratch64 scratch;
  Real* kernel = nullptr;           ///< for convolutions, products, signals and rows in turn
  std::int64_t kernel_numbers = 0;  ///< per thread
  Profiler* profiler = nullptr;

  Real* kernel_of(int thread) const { return kernel + thread * kernel_numbers; }

  void enter(Part part) const {
    if (profiler) profiler->enter(part);
  }

  /// The pass follows this batch norm over `count` numbers per channel, for which `sums` hold Σ m and Σ m ẑ.
  void behind_norm(BackwardPass<Real>& pass, const Real* z, const Norm<Real>& norm, std::int64_t count,
                   const Real* beta, double* d_beta) {
    norm_gradient.finish(sums, count, beta, pass.outputs, norm, d_beta);
    pass.z = z;
    pass.norm = norm.affine();
    pass.a = norm_gradient.a.data();
    pass.b = norm_gradient.b.data();
    pass.c = norm_gradient.c.data();
  }

  /// The pass leaves the sums that the batch norm below it needs in `sums`.
  void sum_for_norm(BackwardPass<Real>& pass) {
    sums.clear();
    pass.sum = sums.first.data();
    pass.sum_normalised = sums.second.data();
  }
};

}  // namespace outerloop::rule::fused
