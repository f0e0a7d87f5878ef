#pragma once
// Convolutions of the update network, fused with batch norm, ReLU, skip connections and statistics.
//
// Each convolution is one pass over memory. Tensors are [units, batch, channels]; a *line* is one unit's
// [batch, channels]. Channels are padded with zeros to whole vectors. Only the input of a batch norm (z) is
// stored; its normalisation and ReLU are applied when a line of it is read, and its statistics are summed
// when a line of it is written. A convolution along the batch and one along the units differ only in the rows
// that its taps read. docs/lab/fused-kernels.md derives the backward pass.
#include <cstdint>

#include "common/rule/fused/instruction_set.h"

namespace outerloop::rule::fused {

enum class Axis { batch, units };

/// A batch norm in the form in which it is applied: ẑ = scale · z + shift, per channel. [channels, padded]
template <class Real>
struct Affine {
  const Real* scale = nullptr;
  const Real* shift = nullptr;
};

enum class SourceKind {
  plain,     ///< z0
  single,    ///< z0 [units, batch] as channel 0
  affine,    ///< ẑ0
  relu,      ///< relu(ẑ0)
  relu_sum,  ///< relu(ẑ0) + relu(ẑ1)
};

/// How the input of a convolution is computed from the stored tensors.
template <class Real>
struct Source {
  SourceKind kind = SourceKind::plain;
  std::int64_t inputs = 0;  ///< channels of the weights
  std::int64_t padded = 0;  ///< channels of a stored row (for `single`: of a row of its gradient)
  const Real* z0 = nullptr;
  std::int64_t z0_unit = 0;  ///< numbers from one line of z0 to the next, for `plain`; else lines are dense
  Affine<Real> norm0;
  const Real* z1 = nullptr;
  Affine<Real> norm1;
};

/// Lines per block. Sums over lines are taken block by block, and the blocks' sums are added up in order
/// (for_line_blocks), so the bits do not depend on which lines are computed together.
inline constexpr std::int64_t kBlockLines = 16;

/// Weights in the order in which they are read: [panel of output channels][tap][input][width of the panel]. A
/// panel is two vectors wide; the last may be one.
template <class Real>
struct ForwardPass {
  Axis axis = Axis::batch;
  std::int64_t taps = 3;  ///< odd
  std::int64_t units = 0, batch = 0;
  std::int64_t first = 0, last = 0;  ///< lines to compute: first .. last - 1; see next_block
  Source<Real> source;
  std::int64_t outputs = 0;        ///< padded
  const Real* weights = nullptr;   ///< packed
  const Real* bias = nullptr;      ///< [outputs], or null
  const Real* per_unit = nullptr;  ///< [units, taps, outputs]: what inputs constant along the batch
                                   ///< contribute through each of 3 taps, or null
  Real* z = nullptr;               ///< [units, batch, outputs]
  std::int64_t z_unit = 0;         ///< numbers from one line of z to the next; 0: all lines in one place
  double* sum = nullptr;           ///< [blocks, outputs]: Σ z is added; null where no batch norm follows
  double* sum_squares = nullptr;   ///< [blocks, outputs]: Σ z²
  Real* input_means = nullptr;     ///< [units, source.padded]: means over the batch of the input, or null

  /// Calls f(pointer to the sums of a block, their number) for each quantity summed over lines.
  template <class F>
  void for_sums(const F& f) {
    if (!sum) return;
    f(sum, outputs);
    f(sum_squares, outputs);
  }
  bool computes(std::int64_t unit) const { return unit >= first && unit < last; }
  /// Sums start with the block of `first`; each further block's sums follow in memory.
  void next_block() { skip_blocks(1); }
  void skip_blocks(std::int64_t count) {
    for_sums([=](double*& sums, std::int64_t numbers) { sums += count * numbers; });
  }
};

/// The adjoint of a convolution: gradients by its weights, its bias and its input.
template <class Real>
struct BackwardPass {
  Axis axis = Axis::batch;
  std::int64_t taps = 3;
  std::int64_t units = 0, batch = 0;
  std::int64_t first = 0, last = 0;
  // dz = a · g · [ẑ > 0] + b · z + c, or g itself where z is null
  const Real* g = nullptr;  ///< ∂/∂relu(ẑ) [units, batch, outputs]
  std::int64_t g_unit = 0;  ///< numbers from one line of g to the next; 0: all lines in one place
  const Real* z = nullptr;
  Affine<Real> norm;
  const Real *a = nullptr, *b = nullptr, *c = nullptr;  ///< [outputs]
  std::int64_t channels = 0;                            ///< outputs of the weights
  std::int64_t outputs = 0;                             ///< padded
  Source<Real> source;
  Real* d_weights = nullptr;          ///< [blocks, taps, inputs, outputs], added to
  double* d_weights_total = nullptr;  ///< [taps, inputs, outputs]: where for_line_blocks adds up d_weights
  double* d_bias = nullptr;           ///< [blocks, outputs]: Σ dz is added, or null
  const Real* transposed = nullptr;   ///< packed, [panel of inputs][tap][channels][width]
  Real* d_input = nullptr;        ///< [units, batch, source.padded], or null where it is not needed; may be g
  const Real* d_start = nullptr;  ///< [units, source.padded]: initial value of every row of d_input, or null
  const Real* skip = nullptr;     ///< [units, batch, source.padded], added to d_input; may be it, or null
  // Sums for the batch norm below. ẑ is the source's ẑ0 for relu and affine (there without the mask), ẑ1 for
  // relu_sum.
  double* sum = nullptr;  ///< [blocks, source.padded]: Σ d_input · [ẑ > 0] is added; null where not wanted
  double* sum_normalised = nullptr;  ///< [blocks, source.padded]: Σ d_input · [ẑ > 0] · ẑ
  Real* per_unit = nullptr;  ///< [units, 3, outputs]: Σ of dz over the rows that each tap reaches, or null

  bool computes(std::int64_t unit) const { return unit >= first && unit < last; }
  std::int64_t weights() const { return taps * source.inputs * outputs; }
  /// As in ForwardPass.
  template <class F>
  void for_sums(const F& f) {
    if (d_bias) f(d_bias, outputs);
    if (!sum) return;
    f(sum, source.padded);
    f(sum_normalised, source.padded);
  }
  void next_block() { skip_blocks(1); }
  void skip_blocks(std::int64_t count) {
    for_sums([=](double*& sums, std::int64_t numbers) { sums += count * numbers; });
    d_weights += count * weights();
  }
};

template <class Real>
struct ConvolutionKernels {
  std::int64_t lanes = 1;
  void (*forward)(const ForwardPass<Real>& pass, Real* workspace) = nullptr;
  void (*backward)(const BackwardPass<Real>& pass, Real* workspace) = nullptr;
};

template <class Real>
const ConvolutionKernels<Real>& convolution_kernels(InstructionSet set);

/// The kernels of precision `mixed`. The forward pass is in float32. The backward pass rounds the factors of
/// its products to bfloat16 (to nearest even; denormals to zero), sums in float32, and does everything else
/// in float32. Throws InputError, which names what is missing, where processor, build or `set` lack such
/// products.
const ConvolutionKernels<float>& mixed_convolution_kernels(InstructionSet set);

/// `channels` rounded up to whole vectors.
inline std::int64_t padded_channels(std::int64_t channels, std::int64_t lanes) {
  return (channels + lanes - 1) / lanes * lanes;
}

/// Size of the workspace of a pass, in numbers, for either precision; `channels`: the larger of the padded
/// inputs and outputs.
std::int64_t convolution_workspace(std::int64_t batch, std::int64_t taps, std::int64_t channels,
                                   std::int64_t lanes);

/// Packs w [taps, inputs, outputs] for ForwardPass::weights: taps * inputs * padded outputs numbers.
template <class Real>
void pack_weights(const Real* w, std::int64_t taps, std::int64_t inputs, std::int64_t outputs,
                  std::int64_t lanes, Real* packed);

/// Packs the same w for BackwardPass::transposed: taps * outputs * padded inputs numbers. Taps are reversed.
template <class Real>
void pack_transposed(const Real* w, std::int64_t taps, std::int64_t inputs, std::int64_t outputs,
                     std::int64_t lanes, Real* packed);

}  // namespace outerloop::rule::fused
