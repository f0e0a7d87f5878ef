#include "common/evaluation/baselines/supervised.h"

#include <cmath>
#include <string>

#include "common/base/error.h"

namespace outerloop::baselines {

template <typename Real>
Real cross_entropy(const Rows<Real>& scores, const std::vector<std::int32_t>& labels, Rows<Real>& d_scores) {
  OUTERLOOP_CHECK_EQ(static_cast<std::size_t>(scores.rows()), labels.size());
  const auto n = static_cast<Real>(scores.rows());
  d_scores = scores;
  Real loss = 0;
  for (Eigen::Index i = 0; i < scores.rows(); ++i) {
    auto row = d_scores.row(i);
    const auto label = labels[static_cast<std::size_t>(i)];
    const Real largest = row.maxCoeff(), right = row[label];
    row = (row.array() - largest).exp();
    const Real sum = row.sum();
    loss += std::log(sum) + largest - right;
    row /= sum * n;
    row[label] -= 1 / n;
  }
  return loss / n;
}

template float cross_entropy(const Rows<float>&, const std::vector<std::int32_t>&, Rows<float>&);
template double cross_entropy(const Rows<double>&, const std::vector<std::int32_t>&, Rows<double>&);

std::vector<TrainedEncoder> train_supervised(const EncoderStart& start, const rule::Matrix& x,
                                             const std::vector<std::int32_t>& labels, std::int64_t classes,
                                             float learning_rate, const std::vector<std::int64_t>& steps,
                                             const rule::Random& random) {
  auto layers = encoder_layers(start.architecture, start.architecture.layers());
  layers.push_back({start.architecture.outputs(), classes, false});
  Network<float> network(layers);
  network.initialise(random);
  set_encoder(start.rule, start.architecture, start.phi, start.architecture.layers(), network);
  Adam adam(network.parameters().size(), learning_rate);
  const Rows<float> examples = rows_of(x);
  const auto one_step = [&](std::int64_t) {
    Rows<float> d_scores;
    const float loss = cross_entropy(network.forward(examples), labels, d_scores);
    network.backward(d_scores, false);
    adam.step(network.parameters(), network.gradient());
    return loss;
  };
  return train_encoder("supervised", steps, one_step, [&] {
    return TrainedEncoder{
        0, 0.0, start.architecture, encoder_phi(start.rule, start.architecture, network), {}};
  });
}

}  // namespace outerloop::baselines
