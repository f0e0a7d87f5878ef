#include "common/evaluation/baselines/vae.h"

#include <cmath>
#include <string>

#include "common/base/error.h"

namespace outerloop::baselines {
namespace {

// The decoder has its own random numbers; their seed is this element of the encoder's.
constexpr std::uint32_t kDecoderSeed = (1u << 24) - 1;

std::vector<LayerShape> vae_encoder(const rule::Architecture& architecture) {
  auto layers = encoder_layers(architecture, architecture.layers() - 1);
  const auto below = architecture.units[architecture.units.size() - 2];
  layers.push_back({below, 2 * architecture.outputs(), false});
  return layers;
}

std::vector<LayerShape> vae_decoder(const rule::Architecture& architecture) {
  std::vector<LayerShape> layers;
  for (std::size_t l = architecture.units.size() - 1; l > 0; --l)
    layers.push_back({architecture.units[l], architecture.units[l - 1], l > 1});
  return layers;
}

TrainedEncoder snapshot(const EncoderStart& start, const Network<float>& encoder) {
  TrainedEncoder result;
  result.architecture = start.architecture;
  result.architecture.units.pop_back();
  result.phi = encoder_phi(start.rule, result.architecture, encoder);
  // The part of the last layer that computes the means; its weights are the last parameters.
  const auto outputs = static_cast<Eigen::Index>(start.architecture.outputs());
  const auto below = static_cast<Eigen::Index>(result.architecture.outputs());
  const Eigen::Index size = (below + 1) * 2 * outputs;
  const ConstRows last(encoder.parameters().data() + encoder.parameters().size() - size, below + 1,
                       2 * outputs);
  const Rows<float> means = last.leftCols(outputs);
  result.head.assign(means.data(), means.data() + means.size());
  return result;
}

Rows<float> normal_rows(std::int64_t rows, std::int64_t columns, const rule::Random& random,
                        std::uint32_t first) {
  Rows<float> result(rows, columns);
  for (Eigen::Index i = 0; i < result.size(); ++i)
    result.data()[i] = static_cast<float>(random.normal(first + static_cast<std::uint32_t>(i)));
  return result;
}

}  // namespace

template <typename Real>
Real vae_loss(Network<Real>& encoder, Network<Real>& decoder, const Rows<Real>& x, const Rows<Real>& noise) {
  const auto batch = static_cast<Real>(x.rows());
  const Eigen::Index latents = noise.cols();
  const Rows<Real> code = encoder.forward(x);
  const auto mean = code.leftCols(latents).array();
  const auto log_variance = code.rightCols(latents).array();
  const Rows<Real> deviation = (Real(0.5) * log_variance).exp();
  const Rows<Real> logits = decoder.forward((mean + deviation.array() * noise.array()).matrix());

  // −log p(x|z) = softplus(l) − x l, softplus(l) = max(l, 0) + log(1 + exp(−|l|)).
  const auto l = logits.array();
  const Real cross_entropy = (l.max(Real(0)) + (-l.abs()).exp().log1p() - x.array() * l).sum();
  const Real divergence = Real(0.5) * (mean.square() + log_variance.exp() - Real(1) - log_variance).sum();
  const Rows<Real> d_logits = ((Real(1) / (Real(1) + (-l).exp()) - x.array()) / batch).matrix();
  const Rows<Real> dz = decoder.backward(d_logits, true);
  Rows<Real> d_code(code.rows(), code.cols());
  d_code.leftCols(latents) = (dz.array() + mean / batch).matrix();
  d_code.rightCols(latents) = (Real(0.5) * dz.array() * deviation.array() * noise.array() +
                               Real(0.5) * (log_variance.exp() - Real(1)) / batch)
                                  .matrix();
  encoder.backward(d_code, false);
  return (cross_entropy + divergence) / batch;
}

template float vae_loss(Network<float>&, Network<float>&, const Rows<float>&, const Rows<float>&);
template double vae_loss(Network<double>&, Network<double>&, const Rows<double>&, const Rows<double>&);

std::vector<TrainedEncoder> train_vae(const EncoderStart& start, const rule::Matrix& unlabelled,
                                      const VaeOptions& options, const std::vector<std::int64_t>& steps,
                                      const rule::Random& random) {
  Network<float> encoder(vae_encoder(start.architecture)), decoder(vae_decoder(start.architecture));
  encoder.initialise(random);
  set_encoder(start.rule, start.architecture, start.phi, start.architecture.layers() - 1, encoder);
  const auto latents = start.architecture.outputs();
  // The last layer starts near zero, so that posteriors start at the prior.
  const Eigen::Index last = (start.architecture.units[start.architecture.units.size() - 2] + 1) * 2 * latents;
  encoder.parameters().tail(last) *= 0.1f;
  decoder.initialise({random.bits(kDecoderSeed), 0, 0, rule::Purpose::evaluation});
  Adam encoder_adam(encoder.parameters().size(), options.learning_rate);
  Adam decoder_adam(decoder.parameters().size(), options.learning_rate);
  const auto one_step = [&](std::int64_t step) {
    const auto x = minibatch(unlabelled, options.minibatch, random, step);
    const auto first = static_cast<std::uint32_t>(step * options.minibatch * latents);
    const auto noise = normal_rows(options.minibatch, latents, random, kFreeElements + first);
    const float loss = vae_loss(encoder, decoder, x, noise);
    encoder_adam.step(encoder.parameters(), encoder.gradient());
    decoder_adam.step(decoder.parameters(), decoder.gradient());
    return loss;
  };
  return train_encoder("vae", steps, one_step, [&] { return snapshot(start, encoder); });
}

}  // namespace outerloop::baselines
