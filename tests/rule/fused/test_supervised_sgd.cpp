// supervised_sgd in the fused engine: its loss against a plain version, its gradient, Hessian and
// meta-gradient against central differences.
#include <algorithm>
#include <cmath>

#include "common/rule/fused/cross_entropy.h"
#include "common/rule/fused/supervised_sgd.h"
#include "tests/catch.h"
#include "tests/rule/fused/plain_base_model.h"

namespace outerloop::tests {
namespace {

using namespace rule::fused;
using rule::Architecture;
using rule::Nonlinearity;

using Theta = std::array<double, 4>;

struct Examples {
  std::vector<double> x, y;
  std::int64_t count;

  Examples(const Architecture& architecture, std::int64_t examples, std::int64_t way, std::uint32_t seed)
      : x(normal_numbers(architecture.inputs() * examples, seed)), count(examples) {
    for (std::int64_t j = 0; j < architecture.outputs(); ++j)
      for (std::int64_t i = 0; i < examples; ++i) y.push_back(i % way == j ? 1.0 : 0.0);
  }
};

template <class Real>
struct Problem {
  Architecture architecture;
  std::vector<Real> phi;
  std::vector<std::vector<Real>> x, y;
  std::vector<LabelledExamples<Real>> data;  ///< inner, scored, inner, scored, ...

  Problem(Architecture of, std::int64_t examples, std::int64_t way, std::size_t steps)
      : architecture(std::move(of)) {
    for (const double v : normal_numbers(layer_offset(architecture, architecture.layers()), 41))
      phi.push_back(static_cast<Real>(0.5 * v));
    for (std::size_t i = 0; i < 2 * steps; ++i) {
      const Examples some(architecture, examples, way, static_cast<std::uint32_t>(50 + i));
      x.emplace_back(some.x.begin(), some.x.end());
      y.emplace_back(some.y.begin(), some.y.end());
      data.push_back({examples, x.back().data(), y.back().data()});
    }
  }

  std::size_t steps() const { return data.size() / 2; }

  /// φ before every step and after the last.
  std::vector<std::vector<Real>> unroll(const Theta& theta) const {
    const SupervisedSgd<Real> rule(architecture, theta);
    std::vector<std::vector<Real>> all = {phi};
    for (std::size_t t = 0; t < steps(); ++t) {
      all.emplace_back(phi.size());
      rule.step(all[t].data(), data[2 * t], all[t + 1].data());
    }
    return all;
  }

  double mean_objective(const Theta& theta) const {
    const SupervisedSgd<Real> rule(architecture, theta);
    const auto all = unroll(theta);
    double sum = 0;
    for (std::size_t t = 0; t < steps(); ++t) sum += rule.loss(all[t + 1].data(), data[2 * t + 1]);
    return sum / static_cast<double>(steps());
  }

  Theta meta_gradient(const Theta& theta) const {
    const auto all = unroll(theta);
    std::vector<SgdStep<Real>> sweep;
    for (std::size_t t = 0; t < steps(); ++t)
      sweep.push_back({data[2 * t], data[2 * t + 1], all[t].data(), all[t + 1].data()});
    return SupervisedSgd<Real>(architecture, theta).meta_gradient(sweep);
  }
};

const Theta kTheta = {std::log(0.1), 0.3, std::log(0.2), -0.4};

struct Case {
  std::vector<std::int64_t> units;
  std::int64_t examples, way;
};

std::vector<Case> cases() {
  return {{{7, 5, 6, 4}, 9, 3}, {{7, 9, 6}, 8, 5}, {{5, 3}, 7, 3}, {{3, 1, 4}, 5, 4}, {{4, 3, 3}, 1, 1}};
}

double plain_loss(const Problem<double>& problem, const std::vector<double>& phi) {
  const auto& units = problem.architecture.units;
  const std::size_t layers = units.size() - 1, B = static_cast<std::size_t>(problem.data[0].examples);
  const Architecture hidden{{units.begin(), units.end() - 1}, problem.architecture.nonlinearity};
  PlainPhi weights(problem.architecture, 0);
  std::size_t offset = 0;
  for (std::size_t l = 0; l < layers; ++l) {
    for (auto* part : {&weights.W[l], &weights.b[l]}) {
      std::copy_n(phi.begin() + static_cast<std::ptrdiff_t>(offset), part->size(), part->begin());
      offset += part->size();
    }
    offset += weights.W[l].size() + weights.b[l].size();
  }
  const auto x = plain_forward(hidden, weights, problem.x[0], problem.data[0].examples).x.back();
  const auto lower = static_cast<std::size_t>(units[layers - 1]),
             upper = static_cast<std::size_t>(units[layers]);
  double loss = 0;
  for (std::size_t e = 0; e < B; ++e) {
    std::vector<double> logits = weights.b.back();
    double sum = 0;
    for (std::size_t j = 0; j < upper; ++j) {
      for (std::size_t i = 0; i < lower; ++i) logits[j] += weights.W.back()[i * upper + j] * x[i * B + e];
      sum += std::exp(logits[j]);
    }
    for (std::size_t j = 0; j < upper; ++j)
      loss -= problem.y[0][j * B + e] * (logits[j] - std::log(sum)) / static_cast<double>(B);
  }
  return loss;
}

/// Positions of W and b, but not of their momentum, in φ.
std::vector<std::size_t> weight_positions(const Architecture& architecture) {
  std::vector<std::size_t> all;
  for (std::int64_t l = 0; l < architecture.layers(); ++l) {
    const auto first = static_cast<std::size_t>(layer_offset(architecture, l));
    const auto end = static_cast<std::size_t>(layer_offset(architecture, l + 1));
    for (std::size_t i = first; i < first + (end - first) / 2; ++i) all.push_back(i);
  }
  return all;
}

}  // namespace

TEST_CASE("the supervised loss and its gradient agree with a plain version and its central differences") {
  for (const auto kind : all_nonlinearities())
    for (const auto& c : cases()) {
      INFO("non-linearity " << static_cast<int>(kind) << ", outputs " << c.units.back());
      Problem<double> problem({c.units, kind}, c.examples, c.way, 1);
      CrossEntropy<double> loss(problem.architecture, problem.phi.data(), problem.data[0]);
      CHECK(loss.value() == Approx(plain_loss(problem, problem.phi)).epsilon(1e-12));
      std::vector<double> gradient(problem.phi.size(), 1e300);
      loss.gradient(gradient.data());
      double worst = 0;
      for (const auto i : weight_positions(problem.architecture)) {
        const auto moved = [&](double step) {
          auto phi = problem.phi;
          phi[i] += step;
          return plain_loss(problem, phi);
        };
        worst = std::max(worst, difference_error(moved, gradient[i], 1.0, 1e-8));
      }
      CHECK(worst < 1e-8);
    }
}

TEST_CASE("the Hessian times a direction agrees with central differences of the gradient") {
  for (const auto kind : all_nonlinearities())
    for (const auto& c : cases()) {
      INFO("non-linearity " << static_cast<int>(kind) << ", outputs " << c.units.back());
      Problem<double> problem({c.units, kind}, c.examples, c.way, 1);
      const auto size = static_cast<std::int64_t>(problem.phi.size());
      const auto direction = normal_numbers(size, 43);
      std::vector<double> product(problem.phi.size(), 0.0);
      CrossEntropy<double>(problem.architecture, problem.phi.data(), problem.data[0])
          .add_hessian_product(direction.data(), product.data());
      const auto positions = weight_positions(problem.architecture);
      double worst = HUGE_VAL;  // over positions, at the best step: a kink affects all of one step
      for (const double step : {1e-5, 1e-6, 1e-7}) {
        std::vector<double> gradients[2];
        for (const int side : {0, 1}) {
          auto phi = problem.phi;
          for (const auto i : positions) phi[i] += (side == 0 ? step : -step) * direction[i];
          gradients[side].resize(phi.size());
          CrossEntropy<double>(problem.architecture, phi.data(), problem.data[0])
              .gradient(gradients[side].data());
        }
        double error = 0, scale = 1;
        for (const auto i : positions) {
          error = std::max(error, std::abs((gradients[0][i] - gradients[1][i]) / (2 * step) - product[i]));
          scale = std::max(scale, std::abs(product[i]));
        }
        worst = std::min(worst, error / scale);
      }
      CHECK(worst < 1e-7);
      for (std::size_t i = 0; i < product.size(); ++i)  // the loss does not depend on momentum
        if (std::find(positions.begin(), positions.end(), i) == positions.end()) CHECK(product[i] == 0.0);
    }
}

TEST_CASE("one step is SGD with momentum, with rates of its own for the output layer") {
  const Problem<double> problem({{4, 3, 3}, Nonlinearity::tanh}, 5, 3, 1);
  std::vector<double> gradient(problem.phi.size()), after = problem.phi;
  CrossEntropy<double>(problem.architecture, problem.phi.data(), problem.data[0]).gradient(gradient.data());
  const SupervisedSgd<double> rule(problem.architecture, kTheta);
  rule.step(after.data(), problem.data[0], after.data());  // in place
  const std::size_t output = static_cast<std::size_t>(layer_offset(problem.architecture, 1));
  for (const auto i : weight_positions(problem.architecture)) {
    const bool hidden = i < output;
    const std::size_t half = hidden ? 4 * 3 + 3 : 3 * 3 + 3;
    const double rate = hidden ? 0.1 : 0.2, momentum = 1 / (1 + std::exp(hidden ? -0.3 : 0.4));
    const double v = momentum * problem.phi[i + half] + gradient[i];
    CHECK(after[i + half] == Approx(v).epsilon(1e-13).margin(1e-15));
    CHECK(after[i] == Approx(problem.phi[i] - rate * v).epsilon(1e-13).margin(1e-15));
  }
}

TEST_CASE("the meta-gradient of supervised_sgd agrees with central differences") {
  for (const auto kind : all_nonlinearities())
    for (const auto& c : cases())
      for (const std::size_t steps : {1, 5}) {
        INFO("non-linearity " << static_cast<int>(kind) << ", outputs " << c.units.back() << ", " << steps
                              << " steps");
        const Problem<double> problem({c.units, kind}, c.examples, c.way, steps);
        const auto d_theta = problem.meta_gradient(kTheta);
        double scale = 1e-3, worst = 0;
        for (const double d : d_theta) scale = std::max(scale, std::abs(d));
        for (std::size_t i = 0; i < 4; ++i) {
          const auto moved = [&](double step) {
            auto theta = kTheta;
            theta[i] += step;
            return problem.mean_objective(theta);
          };
          worst = std::max(worst, difference_error(moved, d_theta[i], scale, 1e-7));
        }
        CHECK(worst < 1e-7);
        if (c.units.size() == 2) CHECK(d_theta[0] == 0.0);  // no hidden layer
      }
}

TEST_CASE("supervised_sgd in float32 stays close to float64") {
  for (const auto& c : cases()) {
    INFO("outputs " << c.units.back());
    const Architecture architecture{c.units, Nonlinearity::tanh};
    const Problem<float> narrow(architecture, c.examples, c.way, 4);
    const Problem<double> wide(architecture, c.examples, c.way, 4);
    CHECK(narrow.mean_objective(kTheta) == Approx(wide.mean_objective(kTheta)).epsilon(1e-4));
    const auto a = narrow.meta_gradient(kTheta), b = wide.meta_gradient(kTheta);
    CHECK(largest_error(std::vector<double>(a.begin(), a.end()), std::vector<double>(b.begin(), b.end())) <
          1e-4);
  }
}

}  // namespace outerloop::tests
