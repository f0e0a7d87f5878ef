#include "common/evaluation/baselines/contrastive.h"

#include <cmath>
#include <limits>
#include <string>

#include "common/base/error.h"

namespace outerloop::baselines {
namespace {

/// Two masked and noisy copies of every row: [2 · rows, columns]. A random element serves two inputs: for
/// each, sixteen bits decide the mask and sixteen are the noise.
Rows<float> two_views(const Rows<float>& x, const ContrastiveOptions& options, const rule::Random& random,
                      std::uint32_t first) {
  Rows<float> views(2 * x.rows(), x.cols());
  views << x, x;
  const auto threshold = static_cast<std::uint32_t>(options.masked * 65536.0);
  std::uint64_t bits = 0;
  for (Eigen::Index i = 0; i < views.size(); ++i) {
    if (i % 2 == 0) bits = random.bits(first + static_cast<std::uint32_t>(i / 2));
    const auto mask = static_cast<std::uint32_t>(bits & 0xFFFF),
               noise = static_cast<std::uint32_t>(bits >> 16 & 0xFFFF);
    bits >>= 32;
    float& value = views.data()[i];
    value = (mask < threshold ? 0.0f : value) + options.noise * (static_cast<float>(noise) / 32767.5f - 1.0f);
  }
  return views;
}

}  // namespace

template <typename Real>
Real nt_xent(const Rows<Real>& z, Real temperature, Rows<Real>& d_z) {
  const Eigen::Index rows = z.rows(), pairs = rows / 2;
  OUTERLOOP_CHECK(pairs >= 1 && rows == 2 * pairs, std::to_string(rows) + " rows are no pairs");
  const Eigen::Matrix<Real, Eigen::Dynamic, 1> length =
      (z.rowwise().squaredNorm().array() + Real(1e-12)).sqrt();
  const Rows<Real> u = z.array().colwise() / length.array();
  Rows<Real> p = u * u.transpose() / temperature;
  Real loss = 0;
  for (Eigen::Index i = 0; i < rows; ++i) {
    const Eigen::Index partner = (i + pairs) % rows;
    const Real right = p(i, partner);
    p(i, i) = -std::numeric_limits<Real>::infinity();
    const Real largest = p.row(i).maxCoeff();
    p.row(i) = (p.row(i).array() - largest).exp();
    const Real sum = p.row(i).sum();
    p(i, i) = 0;
    loss += std::log(sum) + largest - right;
    p.row(i) /= sum;
    p(i, partner) -= 1;
  }
  const auto n = static_cast<Real>(rows);
  // forward: s_ij = u_i · u_j / temperature, each u on both sides.
  const Rows<Real> du = (p + p.transpose()) * u / (n * temperature);
  // forward: u = z / |z|; so dz = (du − u (u · du)) / |z|.
  const Eigen::Matrix<Real, Eigen::Dynamic, 1> along = u.cwiseProduct(du).rowwise().sum();
  d_z = (du - along.asDiagonal() * u).array().colwise() / length.array();
  return loss / n;
}

template float nt_xent(const Rows<float>&, float, Rows<float>&);
template double nt_xent(const Rows<double>&, double, Rows<double>&);

std::vector<TrainedEncoder> train_contrastive(const EncoderStart& start, const rule::Matrix& unlabelled,
                                              const ContrastiveOptions& options,
                                              const std::vector<std::int64_t>& steps,
                                              const rule::Random& random) {
  auto layers = encoder_layers(start.architecture, start.architecture.layers());
  layers.push_back({start.architecture.outputs(), options.projection, false});
  Network<float> network(layers);
  network.initialise(random);
  set_encoder(start.rule, start.architecture, start.phi, start.architecture.layers(), network);
  Adam adam(network.parameters().size(), options.learning_rate);
  const auto one_step = [&](std::int64_t step) {
    const auto x = minibatch(unlabelled, options.minibatch, random, step);
    const auto views =
        two_views(x, options, random, kFreeElements + static_cast<std::uint32_t>(step * x.size()));
    Rows<float> dz;
    const float loss = nt_xent(network.forward(views), options.temperature, dz);
    network.backward(dz, false);
    adam.step(network.parameters(), network.gradient());
    return loss;
  };
  return train_encoder("masked contrastive", steps, one_step, [&] {
    return TrainedEncoder{
        0, 0.0, start.architecture, encoder_phi(start.rule, start.architecture, network), {}};
  });
}

}  // namespace outerloop::baselines
