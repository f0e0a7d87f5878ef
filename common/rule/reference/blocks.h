#pragma once
// Convolutions and batch norms of the neuron-local rule, each one node of the autograd graph with a
// hand-written adjoint. Everything lives on a grid of (unit, batch) with the channels innermost, so that a
// convolution along either axis is one matrix product per tap on shifted rows, without copies. Any device,
// float32 and float64. Derivations: docs/update-rule.md, §6.
#include <ATen/ATen.h>

#include "common/rule/reference/export.h"

namespace outerloop::rule::reference {

using at::Tensor;

/// Along which axis of [units, batch, channels] a convolution runs.
enum class Axis { units, batch };

/// Batch norm's epsilon in the update network.
constexpr double kBatchNormEpsilon = 1e-3;

/// A convolution that batch norm and relu follow. The convolution's bias has no place: batch norm removes it.
struct ConvolutionBlock {
  Tensor w;     ///< [taps, channels in, channels out], an odd number of taps
  Tensor beta;  ///< [channels out]
};

/// relu(BN(conv(x) + constant)): x [units, batch, channels in] → [units, batch, channels out].
/// Cross-correlation with zero padding; statistics per channel over (units, batch), biased variance, eps
/// 1e-3. `constant` (may be undefined; three taps along the batch only) [units, 3 * channels out]: per tap,
/// the product of inputs that are constant along the batch; a tap counts where its neighbour exists.
Tensor conv_bn_relu(const Tensor& x, const ConvolutionBlock& block, Axis axis, const Tensor& constant = {});

/// x + conv_bn_relu(conv_bn_relu(x)) along the units.
Tensor unit_block(const Tensor& x, const ConvolutionBlock& first, const ConvolutionBlock& second);

/// conv(x) + bias along the batch, without batch norm.
Tensor convolution(const Tensor& x, const Tensor& w, const Tensor& bias);

/// BN(x) + beta: statistics per channel over (units, batch), biased variance, eps 1e-3. x [units, batch,
/// channels].
Tensor batch_norm(const Tensor& x, const Tensor& beta);

}  // namespace outerloop::rule::reference
