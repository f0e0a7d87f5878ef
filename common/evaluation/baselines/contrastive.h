#pragma once
// Masked contrastive learning of the base model (after SimCLR, Chen et al. 2020). The two views of an example
// differ by random masks and noise: unlike crops or blurs these need no geometry, so the inputs may be
// permuted.
#include <cstdint>
#include <vector>

#include "common/evaluation/baselines/network.h"
#include "common/evaluation/baselines/trained_encoder.h"

namespace outerloop::baselines {

struct ContrastiveOptions {
  std::int64_t minibatch = 64;
  float learning_rate = 3e-3f;   ///< of Adam
  double masked = 0.5;           ///< share of inputs set to zero in a view
  float noise = 0.17f;           ///< views get uniform noise in ± this (a deviation of 0.1)
  float temperature = 0.1f;      ///< of NT-Xent
  std::int64_t projection = 32;  ///< outputs of a linear layer between the features and the loss
};

/// NT-Xent: the mean over rows of −log softmax_j(cos(z_i, z_j) / temperature) at j = i's partner, over all
/// j ≠ i. z: [2 · pairs, columns]; row i < pairs and row i + pairs are partners. d_z: its gradient.
template <typename Real>
Real nt_xent(const Rows<Real>& z, Real temperature, Rows<Real>& d_z);

/// Trains on random minibatches of `unlabelled` [examples, inputs]; returns the encoder after each of `steps`
/// (ascending, at least one). Throws Error where the loss is not finite.
std::vector<TrainedEncoder> train_contrastive(const EncoderStart& start, const rule::Matrix& unlabelled,
                                              const ContrastiveOptions& options,
                                              const std::vector<std::int64_t>& steps,
                                              const rule::Random& random);

}  // namespace outerloop::baselines
