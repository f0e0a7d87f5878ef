// Baselines that train a network: gradients against central differences in float64, and learning.
#include <cmath>

#include "common/base/error.h"
#include "common/evaluation/baselines/contrastive.h"
#include "common/evaluation/baselines/supervised.h"
#include "common/evaluation/baselines/vae.h"
#include "tests/catch.h"
#include "tests/rule_options.h"

using namespace outerloop;
using namespace outerloop::baselines;
using MatrixD = Rows<double>;

namespace {

const rule::Random kRandom(11, 0, 0, rule::Purpose::test);

MatrixD normal(Eigen::Index rows, Eigen::Index columns, std::uint32_t first) {
  MatrixD m(rows, columns);
  for (Eigen::Index i = 0; i < m.size(); ++i)
    m.data()[i] = kRandom.normal(first + static_cast<std::uint32_t>(i));
  return m;
}

/// Largest difference between `gradient` and central differences of `loss` by `parameters`, relative to the
/// gradient's largest entry.
template <typename Vector, typename Loss>
double gradient_error(Vector& parameters, const Vector& gradient, const Loss& loss) {
  constexpr double kStep = 1e-6;
  double error = 0.0;
  for (Eigen::Index i = 0; i < parameters.size(); ++i) {
    const double kept = parameters.data()[i];
    parameters.data()[i] = kept + kStep;
    const double above = loss();
    parameters.data()[i] = kept - kStep;
    const double below = loss();
    parameters.data()[i] = kept;
    error = std::max(error, std::abs((above - below) / (2 * kStep) - gradient.data()[i]));
  }
  return error / gradient.cwiseAbs().maxCoeff();
}

/// Examples of three classes: a bright pixel each, in noise; values in [0, 1].
struct Toy {
  rule::Matrix x;
  std::vector<std::int32_t> labels;
};
Toy toy(std::int64_t rows, std::uint32_t stream) {
  Toy data{rule::Matrix(rows, 12), {}};
  const rule::Random random(4, stream, 0, rule::Purpose::test);
  for (std::int64_t i = 0; i < rows; ++i) {
    data.labels.push_back(static_cast<std::int32_t>(i % 3));
    for (std::int64_t j = 0; j < 12; ++j) {
      const bool lit = j / 4 == i % 3;
      data.x.row(i)[j] =
          static_cast<float>(random.uniform(static_cast<std::uint32_t>(12 * i + j)) * (lit ? 1.0 : 0.4));
    }
  }
  return data;
}

struct Setting {
  rule::RuleOptions rule = tests::paper_rule();
  rule::Architecture architecture{{12, 8, 6}, rule::Nonlinearity::relu};
  std::vector<double> phi = rule::initial_phi(rule::phi_layout(rule, architecture), 1, 0, 0);
  EncoderStart start() const { return {rule, architecture, phi}; }
};

}  // namespace

TEST_CASE("a network's gradient agrees with central differences, by parameters and by input") {
  Network<double> network({{5, 4, true}, {4, 3, true}, {3, 2, false}});
  network.initialise(kRandom);
  for (Eigen::Index i = 0; i < network.parameters().size(); ++i)
    network.parameters()[i] += 0.1 * kRandom.normal(1000 + static_cast<std::uint32_t>(i));
  MatrixD x = normal(7, 5, 2000);
  const MatrixD direction = normal(7, 2, 3000);
  const auto loss = [&] { return network.forward(x).cwiseProduct(direction).sum(); };
  loss();
  const MatrixD dx = network.backward(direction, true);
  const auto gradient = network.gradient();
  CHECK(gradient_error(network.parameters(), gradient, loss) < 1e-7);
  CHECK(gradient_error(x, dx, loss) < 1e-7);
}

TEST_CASE("the VAE's gradient agrees with central differences") {
  Network<double> encoder({{6, 5, true}, {5, 4, false}}), decoder({{2, 5, true}, {5, 6, false}});
  encoder.initialise(kRandom);
  decoder.initialise({12, 0, 0, rule::Purpose::test});
  const MatrixD x = (normal(8, 6, 100).array() * 0.3 + 0.5).max(0.0).min(1.0).matrix();
  const MatrixD noise = normal(8, 2, 500);
  const auto loss = [&] { return vae_loss(encoder, decoder, x, noise); };
  loss();
  const auto by_encoder = encoder.gradient(), by_decoder = decoder.gradient();
  CHECK(gradient_error(encoder.parameters(), by_encoder, loss) < 1e-7);
  CHECK(gradient_error(decoder.parameters(), by_decoder, loss) < 1e-7);
}

TEST_CASE("the bound of a VAE that knows nothing is known") {
  // Posterior = prior and logits 0: log 2 per pixel, no divergence.
  Network<double> encoder({{4, 4, false}}), decoder({{2, 4, false}});
  CHECK(vae_loss<double>(encoder, decoder, MatrixD::Constant(3, 4, 0.3), normal(3, 2, 0)) ==
        Approx(4 * std::log(2.0)));
}

TEST_CASE("NT-Xent by hand, and its gradient against central differences") {
  MatrixD z(4, 2), dz;
  z << 1, 0, 0, 1, 2, 0, 0, 3;  // partners point the same way, the pairs are orthogonal
  const double expected = -std::log(std::exp(2.0) / (std::exp(2.0) + 2.0));
  CHECK(nt_xent<double>(z, 0.5, dz) == Approx(expected));
  z = normal(6, 3, 40);
  const auto loss = [&] {
    MatrixD ignored;
    return nt_xent<double>(z, 0.5, ignored);
  };
  nt_xent<double>(z, 0.5, dz);
  const MatrixD gradient = dz;
  CHECK(gradient_error(z, gradient, loss) < 1e-7);
  CHECK_THROWS_AS(nt_xent<double>(normal(3, 2, 0), 0.5, dz), Error);
}

TEST_CASE("cross-entropy's gradient agrees with central differences") {
  MatrixD scores = normal(5, 3, 60), d;
  const std::vector<std::int32_t> labels = {0, 1, 2, 1, 0};
  const auto loss = [&] {
    MatrixD ignored;
    return cross_entropy(scores, labels, ignored);
  };
  cross_entropy(scores, labels, d);
  const MatrixD gradient = d;
  CHECK(gradient_error(scores, gradient, loss) < 1e-7);
  MatrixD zero = MatrixD::Zero(5, 3);
  CHECK(cross_entropy<double>(zero, labels, d) == Approx(std::log(3.0)));
}

TEST_CASE("training begins from the draw's base model, the same function as random initialisation") {
  const Setting setting;
  const auto data = toy(300, 0);
  const auto unchanged = train_supervised(setting.start(), data.x, data.labels, 3, 0.0f, {1}, kRandom);
  const auto trained = unchanged.front().features(setting.rule, data.x, {&data.x}).front();
  const auto statistics = rule::frozen_statistics(setting.rule, setting.architecture, setting.phi, data.x);
  const auto random = rule::features(setting.rule, setting.architecture, setting.phi, statistics, data.x);
  REQUIRE(trained.values.size() == random.values.size());
  // Equal except for batch norm's epsilon, which has more effect if weights are small.
  for (std::size_t i = 0; i < random.values.size(); ++i)
    CHECK(trained.values[i] == Approx(random.values[i]).epsilon(0.05).margin(0.05));
}

TEST_CASE("each baseline lowers its loss, and is kept at the steps that were asked for") {
  const Setting setting;
  const auto data = toy(300, 0);
  const std::vector<std::int64_t> steps = {20, 400};
  const auto check = [&](const std::vector<TrainedEncoder>& encoders, std::size_t columns) {
    REQUIRE(encoders.size() == 2);
    CHECK(encoders[0].steps == 20);
    CHECK(encoders[1].steps == 400);
    CHECK(encoders[1].loss < encoders[0].loss);
    const auto features = encoders[1].features(setting.rule, data.x, {&data.x, &data.x});
    REQUIRE(features.size() == 2);
    CHECK(features[0].columns == static_cast<std::int64_t>(columns));
    CHECK(features[0].values == features[1].values);
  };
  check(train_vae(setting.start(), data.x, {}, steps, kRandom), 6);
  check(train_contrastive(setting.start(), data.x, {}, steps, kRandom), 6);
  check(train_supervised(setting.start(), data.x, data.labels, 3, 3e-3f, steps, kRandom), 6);
  // The same random numbers give the same bits, and a snapshot does not depend on the other snapshots.
  const auto all = train_vae(setting.start(), data.x, {}, steps, kRandom);
  const auto last = train_vae(setting.start(), data.x, {}, {400}, kRandom);
  CHECK(all[1].phi == last[0].phi);
  CHECK(all[1].head == last[0].head);
}

TEST_CASE("Adam's first step is the learning rate in each direction") {
  Eigen::VectorXf parameters = Eigen::VectorXf::Zero(2), gradient(2);
  gradient << 3.0f, -0.001f;
  Adam adam(2, 0.1f);
  adam.step(parameters, gradient);
  CHECK(parameters[0] == Approx(-0.1).epsilon(1e-4));
  CHECK(parameters[1] == Approx(0.1).epsilon(1e-4));
}
