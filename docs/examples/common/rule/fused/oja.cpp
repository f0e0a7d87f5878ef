#include "common/rule/fused/oja.h"

#include <Eigen/Dense>
#include <cmath>
#include <unsupported/Eigen/AutoDiff>

#include "common/base/error.h"
#include "common/rule/generic_base_model.h"

namespace outerloop::rule::fused {
namespace {

using generic::Layer, generic::Phi, generic::Rows;

constexpr int kCoefficients = 5;

/// A number with its derivatives by θ: the shortest way to a gradient, and the slowest.
using WithGradient = Eigen::AutoDiffScalar<Eigen::Matrix<double, kCoefficients, 1>>;

/// The rule: φ after one inner step.
template <class S>
void step(const std::vector<S>& theta, const Batch& inner, Phi<S>& phi) {
  using std::exp;
  const std::vector<Rows<S>> x = generic::activations(phi, generic::table<S>(inner.x, inner.examples));
  const S rate = exp(theta[0]), share(1.0 / static_cast<double>(inner.examples));
  for (std::size_t l = 0; l < phi.size(); ++l) {
    Layer<S>& layer = phi[l];
    const Rows<S> hebb = x[l].transpose() * x[l + 1];
    const Rows<S> together = x[l + 1].transpose() * x[l + 1];
    const Rows<S> decorrelation = layer.W * together;
    const S of_hebb = rate * theta[1] * share, of_decorrelation = rate * theta[2] * share;
    const S of_decay = rate * theta[3], of_homeostasis = rate * theta[4];
    for (Eigen::Index i = 0; i < layer.W.size(); ++i)
      layer.W.data()[i] += of_hebb * hebb.data()[i] + of_decorrelation * decorrelation.data()[i] +
                           of_decay * layer.W.data()[i];
    for (Eigen::Index unit = 0; unit < layer.b.size(); ++unit)
      layer.b[unit] += of_homeostasis * (S(0.5) - share * x[l + 1].col(unit).sum());
  }
}

class OjaEngine final : public CheckedEngine {
 public:
  explicit OjaEngine(const EngineSetup& setup) : CheckedEngine(setup, 1) {}

 protected:
  TruncationResult checked_truncation(const Architecture& architecture, const std::vector<double>& theta,
                                      const std::vector<double>& numbers,
                                      const std::vector<StepData>& steps) override {
    check_relu(architecture);
    std::vector<WithGradient> coefficients;
    for (int i = 0; i < kCoefficients; ++i)
      coefficients.emplace_back(theta[static_cast<std::size_t>(i)], kCoefficients, i);
    auto phi = generic::load<WithGradient>(architecture, numbers);
    WithGradient mean(0.0);
    TruncationResult result;
    for (const StepData& data : steps) {
      step(coefficients, data.inner, phi);
      const WithGradient objective = generic::meta_objective(phi, data, rule().neuron_local.ridge);
      result.meta_objective.push_back(objective.value());
      mean += objective * WithGradient(1.0 / static_cast<double>(steps.size()));
    }
    result.mean_meta_objective = mean.value();
    result.d_theta.assign(mean.derivatives().begin(), mean.derivatives().end());
    result.phi = generic::store(phi);
    if (!all_finite(result.phi) || !all_finite(result.d_theta)) {
      result.outcome = all_finite(result.phi) && std::isnan(result.mean_meta_objective)
                           ? Outcome::dead_features
                           : Outcome::not_finite;
      result.d_theta.clear();
      result.phi.clear();
    }
    return result;
  }

  std::vector<double> checked_unroll(const Architecture& architecture, const std::vector<double>& theta,
                                     const std::vector<double>& numbers,
                                     const std::vector<Batch>& minibatches) override {
    check_relu(architecture);
    auto phi = generic::load<double>(architecture, numbers);
    for (const Batch& inner : minibatches) step(theta, inner, phi);
    return generic::store(phi);
  }

  double checked_meta_objective(const Architecture& architecture, const std::vector<double>&,
                                const std::vector<double>& numbers, const StepData& data) override {
    check_relu(architecture);
    return generic::meta_objective(generic::load<double>(architecture, numbers), data,
                                   rule().neuron_local.ridge);
  }

 private:
  static void check_relu(const Architecture& architecture) {
    if (architecture.nonlinearity != Nonlinearity::relu)
      throw InputError("rule.name: oja trains base models of relu alone");
  }
};

}  // namespace

std::unique_ptr<FusedEngine> make_oja(const EngineSetup& setup) { return std::make_unique<OjaEngine>(setup); }

}  // namespace outerloop::rule::fused
