#pragma once
// A variational autoencoder (Kingma and Welling 2014) with the base model as its encoder: all layers but the
// last are unchanged, followed by linear layers to mean and log-variance of as many latents as the base model
// has outputs; the decoder mirrors it. Features are the latents' means.
#include <cstdint>
#include <vector>

#include "common/evaluation/baselines/network.h"
#include "common/evaluation/baselines/trained_encoder.h"

namespace outerloop::baselines {

struct VaeOptions {
  std::int64_t minibatch = 64;
  float learning_rate = 3e-3f;  ///< of Adam
};

/// The negative evidence lower bound per example, in nats: cross-entropy of Bernoulli pixels (x in [0, 1])
/// plus the KL divergence to a standard normal. `encoder` ends in 2 · latents outputs (means, then
/// log-variances), `decoder` in logits of the inputs. x: [batch, inputs]; noise: [batch, latents], standard
/// normal. Leaves the gradient in both networks.
template <typename Real>
Real vae_loss(Network<Real>& encoder, Network<Real>& decoder, const Rows<Real>& x, const Rows<Real>& noise);

/// Trains on random minibatches of `unlabelled` [examples, inputs] in [0, 1]; returns the encoder after each
/// of `steps` (ascending, at least one). Throws Error where the loss is not finite.
std::vector<TrainedEncoder> train_vae(const EncoderStart& start, const rule::Matrix& unlabelled,
                                      const VaeOptions& options, const std::vector<std::int64_t>& steps,
                                      const rule::Random& random);

}  // namespace outerloop::baselines
