#pragma once
// The two convolutional networks of the neuron-local rule and the readouts of hidden states. Each is one node
// of the autograd graph with a hand-written adjoint, to keep a step's graph small. Weights are groups of
// PackedTheta [lanes, numbers]: the forward pass uses the first lane, and every lane gets its own gradient.
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "common/rule/reference/blocks.h"
#include "common/rule/reference/packed_theta.h"

namespace outerloop::rule::reference {

/// The rows of ReadPieces, those of the readouts times one factor and bias.w times another.
struct ScaledReadouts {
  double factor = 0.0;
  Tensor w, bias;
};

/// Inputs that the nodes share for one θ. Must outlive the graph.
struct NetworkPlan {
  NeuronLocalSize size;
  const PackedTheta* packed = nullptr;
  Tensor ones;                    ///< [n]: n at least lanes * channels of every batch norm
  Tensor zero;                    ///< [1, 1]
  mutable ScaledReadouts scaled;  ///< computed at first use

  /// `theta`: Group::read.
  const ScaledReadouts& scaled_readouts(const Tensor& theta, double factor, double bias_factor) const;
};

/// d^L [S, N_L, D, B] from x^L [S, N_L, B]. `theta`: Group::top.
Tensor top_network(const NetworkPlan& plan, const Tensor& features, const Tensor& theta);

/// h [S, C, N, B] of a layer's units. x, z [S, N, B]; d [S, N, D, B]; `constant` [S, N, 9]: statistics of
/// weights and biases; `identity` [N, 2]: BN of (sin id, cos id), its offset included. `theta`:
/// Group::hidden.
Tensor hidden_network(const NetworkPlan& plan, const Tensor& x, const Tensor& z, const Tensor& d,
                      const Tensor& constant, const Tensor& identity, const Tensor& theta);

/// The roles of a layer: upper or lower layer of a weight matrix.
struct Roles {
  bool upper = false, lower = false;
};

/// Readouts of a layer's hidden states, scaled by 1/sqrt(G B), with a leading axis of one per readout:
/// [readouts, S, N, G * B].
struct Readouts {
  std::vector<Tensor> lower;  ///< lower role: for W, then for V if it has its own
  std::vector<Tensor> upper;  ///< upper role
  Tensor mean;                ///< [S, N]: mean over the batch of bias.w h; of an upper layer
  Tensor linear;              ///< [S, N, D, B]: delta.w h + delta.b; of an upper layer
};

/// h [S, C, N, B]. `theta`: Group::read.
Readouts read_hidden(const NetworkPlan& plan, const Tensor& h, const Tensor& theta, Roles roles);

/// linear + d sigmoid(z), [S, N, D, B]: linear, d [S, N, D, B], z [S, N, B].
Tensor error_signal(const Tensor& linear, const Tensor& d, const Tensor& z);

}  // namespace outerloop::rule::reference
