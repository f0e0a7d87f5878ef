#include "common/rule/fused/supervised_sgd.h"

#include <cmath>

#include "common/rule/fused/cross_entropy.h"

namespace outerloop::rule::fused {
namespace {

template <class Real>
Real sigmoid(Real x) {
  return 1 / (1 + std::exp(-x));
}

template <class A, class B>
double dot(const A& a, const B& b) {
  return (a.template cast<double>().array() * b.template cast<double>().array()).sum();
}

}  // namespace

template <class Real>
SupervisedSgd<Real>::SupervisedSgd(const Architecture& architecture, const std::array<double, 4>& theta)
    : architecture_(architecture) {
  const auto read = [&](std::size_t first) {
    return Rates{std::exp(static_cast<Real>(theta[first])), sigmoid(static_cast<Real>(theta[first + 1]))};
  };
  hidden_ = read(0);
  output_ = read(2);
  phi_size_ = layer_offset(architecture, architecture.layers());
}

template <class Real>
double SupervisedSgd<Real>::loss(const Real* phi, const LabelledExamples<Real>& data) const {
  return CrossEntropy<Real>(architecture_, phi, data).value();
}

template <class Real>
void SupervisedSgd<Real>::step(const Real* phi, const LabelledExamples<Real>& data, Real* after) const {
  std::vector<Real> gradient(static_cast<std::size_t>(phi_size_));
  CrossEntropy<Real>(architecture_, phi, data).gradient(gradient.data());
  for (std::int64_t l = 0; l < architecture_.layers(); ++l) {
    const Rates& rate = rates(l);
    const SgdLayer<const Real> before(architecture_, phi, l), g(architecture_, gradient.data(), l);
    SgdLayer<Real> result(architecture_, after, l);
    result.momentum = rate.momentum * before.momentum + g.weights;
    result.weights = before.weights - rate.learning_rate * result.momentum;
  }
}

template <class Real>
std::array<double, 4> SupervisedSgd<Real>::meta_gradient(const std::vector<SgdStep<Real>>& steps,
                                                         const std::function<void()>& after_step) const {
  const auto size = static_cast<std::size_t>(phi_size_);
  const auto share = static_cast<Real>(1.0 / static_cast<double>(steps.size()));
  std::vector<Real> d_phi(size), of_step(size);  // by the φ before the step; of one step alone
  std::array<double, 4> d_rates{};               // by learning rate and momentum, hidden and output
  for (std::size_t t = steps.size(); t-- > 0;) {
    const SgdStep<Real>& step = steps[t];
    // 1. The gradient of the meta-objective after this step by φ
    CrossEntropy<Real>(architecture_, step.after, step.judged).gradient(of_step.data());

    // 2. forward: v' = μ v + g(w), w' = w − lr v'; so here dv' += −lr dw', dg = dv', dv = μ dv'
    for (std::int64_t l = 0; l < architecture_.layers(); ++l) {
      const std::size_t kind = l + 1 < architecture_.layers() ? 0 : 2;
      const SgdLayer<const Real> before(architecture_, step.before, l), after(architecture_, step.after, l);
      SgdLayer<Real> d(architecture_, d_phi.data(), l), extra(architecture_, of_step.data(), l);
      d.weights += share * extra.weights;
      d_rates[kind] -= dot(d.weights, after.momentum);
      d.momentum -= rates(l).learning_rate * d.weights;
      d_rates[kind + 1] += dot(d.momentum, before.momentum);
      extra.weights = d.momentum;
      d.momentum *= rates(l).momentum;
    }

    // 3. ... and dw = dw' + H dg. The gradient by φ before the first step is not needed.
    if (t > 0) {
      CrossEntropy<Real> inner(architecture_, step.before, step.inner);
      inner.add_hessian_product(of_step.data(), d_phi.data());
    }
    after_step();
  }
  // θ holds the logarithm of the learning rate and the logit of the momentum.
  const auto by_theta = [&](const Rates& rate, std::size_t first) {
    const auto lr = static_cast<double>(rate.learning_rate), momentum = static_cast<double>(rate.momentum);
    d_rates[first] *= lr;
    d_rates[first + 1] *= momentum * (1 - momentum);
  };
  by_theta(hidden_, 0);
  by_theta(output_, 2);
  return d_rates;
}

template class SupervisedSgd<float>;
template class SupervisedSgd<double>;

}  // namespace outerloop::rule::fused
