#pragma once
// Kernels between the convolutions: features of every neuron, the error signal sent to the layer below, and
// the batch norms of the top network over channels and batch. All layouts are [units, batch, channels].
//
// Buffers marked "slack" may be read and written up to kSlack numbers beyond their end.
#include <cstdint>

#include "common/rule/fused/convolution.h"
#include "common/rule/fused/instruction_set.h"

namespace outerloop::rule::fused {

inline constexpr std::int64_t kSlack = 64;

/// f = [d (D), x, z, zeros] of every neuron of a layer.
template <class Real>
struct Features {
  std::int64_t units = 0, batch = 0;
  std::int64_t delta = 0;            ///< D
  std::int64_t padded = 0;           ///< of f: D + 2 rounded up
  const Real* x = nullptr;           ///< [units, batch]
  const Real* z = nullptr;           ///< [units, batch], slack
  const Real* d = nullptr;           ///< [units, batch, d_row], slack: the error signal before normalisation
  std::int64_t d_row = 0;            ///< D or more
  Real* inverse_rms = nullptr;       ///< [units, batch]: 1/sqrt(1e-6 + mean_c d²); null: d is not normalised
  Real* f = nullptr;                 ///< [units, batch, padded]
  double* sum = nullptr;             ///< [blocks, padded]: Σ f is added
  double* sum_squares = nullptr;     ///< [blocks, padded]
  std::int64_t first = 0, last = 0;  ///< lines to compute; blocks are those of ForwardPass

  template <class F>
  void for_sums(const F& f) {
    f(sum, padded);
    f(sum_squares, padded);
  }
  void next_block() { skip_blocks(1); }
  void skip_blocks(std::int64_t count) {
    for_sums([=](double*& sums, std::int64_t numbers) { sums += count * numbers; });
  }
};

/// The adjoint of Features, and of the error signal δ = d · sigmoid(z) + linear, which also depends on d.
template <class Real>
struct FeaturesBackward {
  std::int64_t units = 0, batch = 0, delta = 0, padded = 0;
  std::int64_t first = 0, last = 0;  ///< lines to compute
  const Real* g = nullptr;           ///< ∂/∂ẑ of f's batch norm [units, batch, padded]
  const Real* f = nullptr;
  const Real *a = nullptr, *b = nullptr, *c = nullptr;  ///< df = a · g + b · f + c [padded]
  const Real* z = nullptr;                              ///< [units, batch], slack
  const Real* d_error = nullptr;      ///< ∂/∂δ [units, batch, D], slack; null at the bottom layer
  const Real* inverse_rms = nullptr;  ///< null where d was not normalised
  Real* d_d = nullptr;                ///< ∂/∂d before normalisation [units, batch, d_row], slack
  std::int64_t d_row = 0;             ///< numbers beyond D are set to zero
  Real* d_x = nullptr;                ///< [units, batch], added to; null where nobody needs it
  Real* d_z = nullptr;                ///< [units, batch], added to; null where nobody needs it
};

/// A batch norm over channels and batch with one offset per unit, followed by a ReLU.
template <class Real>
struct UnitNorm {
  std::int64_t units = 0, batch = 0, channels = 0, padded = 0;
  const Real* z = nullptr;     ///< [units, batch, padded], zero beyond `channels`
  const Real* beta = nullptr;  ///< [units]
  Real* scale = nullptr;       ///< [units]
  Real* shift = nullptr;       ///< [units]
  Real* a = nullptr;           ///< [units, batch + 2, padded], the edges zero
};

template <class Real>
struct UnitNormBackward {
  std::int64_t units = 0, batch = 0, channels = 0, padded = 0;
  const Real* z = nullptr;
  const Real* beta = nullptr;
  const Real* scale = nullptr;
  const Real* shift = nullptr;
  const Real* d_a = nullptr;  ///< [units, batch, padded]
  std::int64_t d_a_unit = 0;  ///< numbers from one unit of d_a to the next
  Real* d_z = nullptr;        ///< [units, batch, padded]
  double* d_beta = nullptr;   ///< [units], added to
};

template <class Real>
struct SignalKernels {
  void (*features)(Features<Real>) = nullptr;
  /// `workspace`: batch + kSlack numbers
  void (*features_backward)(const FeaturesBackward<Real>&, Real* workspace) = nullptr;
  /// δ [batch, D] of one unit from its row of f, z [batch] and linear [batch, linear_row]; slack everywhere.
  void (*error_signal)(std::int64_t batch, std::int64_t delta, const Real* f, std::int64_t padded,
                       const Real* z, const Real* linear, std::int64_t linear_row, Real* error,
                       Real* workspace) = nullptr;
  void (*unit_norm)(const UnitNorm<Real>&) = nullptr;
  void (*unit_norm_backward)(const UnitNormBackward<Real>&) = nullptr;
  /// a [units, batch + 2, padded] = relu(scale z + shift), per channel, the edges zero.
  void (*relu_with_edges)(std::int64_t units, std::int64_t batch, std::int64_t padded, const Real* z,
                          Affine<Real> norm, Real* a) = nullptr;
  /// g [units, batch, padded] = d_a without its edges; sums as in BackwardPass.
  void (*relu_with_edges_backward)(std::int64_t units, std::int64_t batch, std::int64_t padded, const Real* a,
                                   const Real* d_a, Real* g, double* sum, double* sum_normalised) = nullptr;
};

template <class Real>
const SignalKernels<Real>& signal_kernels(InstructionSet set);

}  // namespace outerloop::rule::fused
