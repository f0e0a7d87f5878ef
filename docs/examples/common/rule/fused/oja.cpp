#include "common/rule/fused/oja.h"

#include <Eigen/Dense>
#include <cmath>
#include <unsupported/Eigen/AutoDiff>

#include "common/base/error.h"

namespace outerloop::rule::fused {
namespace {

constexpr int kCoefficients = 5;
constexpr double kEpsilon = 1e-6;  ///< of BN0

/// A number with its derivatives by θ: with five of them, carrying these along costs less than going back.
using WithGradient = Eigen::AutoDiffScalar<Eigen::Matrix<double, kCoefficients, 1>>;

template <class S>
using Rows = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

double value_of(double x) { return x; }
double value_of(const WithGradient& x) { return x.value(); }

template <class S>
struct Layer {
  Rows<S> W;                              ///< [N_{l-1}, N_l]
  Eigen::Matrix<S, 1, Eigen::Dynamic> b;  ///< [N_l]
};

template <class S>
using Phi = std::vector<Layer<S>>;

template <class S>
Phi<S> load(const Architecture& architecture, const std::vector<double>& numbers) {
  Phi<S> phi;
  auto next = numbers.begin();
  for (std::size_t l = 1; l < architecture.units.size(); ++l) {
    Layer<S> layer{Rows<S>(architecture.units[l - 1], architecture.units[l]), {}};
    layer.b.resize(architecture.units[l]);
    for (Eigen::Index i = 0; i < layer.W.size(); ++i) layer.W.data()[i] = S(*next++);
    for (Eigen::Index i = 0; i < layer.b.size(); ++i) layer.b[i] = S(*next++);
    phi.push_back(std::move(layer));
  }
  return phi;
}

template <class S>
std::vector<double> store(const Phi<S>& phi) {
  std::vector<double> numbers;
  for (const Layer<S>& layer : phi) {
    for (Eigen::Index i = 0; i < layer.W.size(); ++i) numbers.push_back(value_of(layer.W.data()[i]));
    for (Eigen::Index i = 0; i < layer.b.size(); ++i) numbers.push_back(value_of(layer.b[i]));
  }
  return numbers;
}

template <class S>
Rows<S> table(const std::vector<double>& numbers, std::int64_t rows) {
  const auto columns = static_cast<Eigen::Index>(numbers.size()) / rows;
  return Eigen::Map<const Rows<double>>(numbers.data(), rows, columns).cast<S>();
}

/// x^0 .. x^L [examples, N_l]: BN0 over the examples, plus b, then relu (docs/update-rule.md, §2).
template <class S>
std::vector<Rows<S>> activations(const Phi<S>& phi, Rows<S> input) {
  std::vector<Rows<S>> x{std::move(input)};
  for (const Layer<S>& layer : phi) {
    Rows<S> z = x.back() * layer.W;
    const S share(1.0 / static_cast<double>(z.rows()));
    for (Eigen::Index unit = 0; unit < z.cols(); ++unit) {
      S mean(0.0), variance(0.0);
      for (Eigen::Index e = 0; e < z.rows(); ++e) mean += share * z(e, unit);
      for (Eigen::Index e = 0; e < z.rows(); ++e)
        variance += share * (z(e, unit) - mean) * (z(e, unit) - mean);
      const S deviation = sqrt(variance + S(kEpsilon));
      for (Eigen::Index e = 0; e < z.rows(); ++e) {
        const S activation = (z(e, unit) - mean) / deviation + layer.b[unit];
        z(e, unit) = value_of(activation) > 0.0 ? activation : S(0.0);
      }
    }
    x.push_back(std::move(z));
  }
  return x;
}

/// The rule: φ after one inner step.
template <class S>
void step(const std::vector<S>& theta, const Batch& inner, Phi<S>& phi) {
  const std::vector<Rows<S>> x = activations(phi, table<S>(inner.x, inner.examples));
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

/// y less its mean, over the root mean square length of its rows.
Rows<double> normalised(const Batch& batch) {
  Rows<double> y = table<double>(batch.y, batch.examples);
  y.array() -= y.mean();
  return y / std::sqrt(y.squaredNorm() / static_cast<double>(y.rows()));
}

/// How well features predict labels (docs/update-rule.md, §4); NaN where all features of a or b
/// are 0.
template <class S>
S judge(const Phi<S>& phi, const StepData& data, double ridge) {
  const Eigen::Index examples = data.a.examples;
  Rows<double> both(2 * examples, data.a.inputs);
  both << table<double>(data.a.x, examples), table<double>(data.b.x, examples);
  const Rows<S> x = activations(phi, Rows<S>(both.cast<S>())).back();
  Rows<S> a = x.topRows(examples), b = x.bottomRows(examples);
  const auto all_zero = [](const Rows<S>& rows) {
    for (Eigen::Index i = 0; i < rows.size(); ++i)
      if (value_of(rows.data()[i]) != 0.0) return false;
    return true;
  };
  if (all_zero(a) || all_zero(b)) return S(std::nan(""));
  Rows<S> y_a = normalised(data.a).cast<S>();
  const Rows<S> y_b = normalised(data.b).cast<S>();
  // The constant's weight is not penalised: the regression is one of what is left without the means.
  const S share(1.0 / static_cast<double>(examples));
  const Eigen::Matrix<S, 1, Eigen::Dynamic> mean = a.colwise().sum() * share,
                                            level = y_a.colwise().sum() * share;
  a.rowwise() -= mean;
  b.rowwise() -= mean;
  y_a.rowwise() -= level;
  Rows<S> gram = a.transpose() * a;
  for (Eigen::Index i = 0; i < gram.rows(); ++i) gram(i, i) += S(ridge);
  const Rows<S> right = a.transpose() * y_a;
  const Rows<S> v = gram.llt().solve(right);
  Rows<S> p = b * v;
  p.rowwise() += level;
  S sum = S(ridge) * v.squaredNorm();
  for (Eigen::Index e = 0; e < examples; ++e) {
    const S length = sqrt(S(p.row(e).squaredNorm()));
    for (Eigen::Index t = 0; t < p.cols(); ++t) {
      const S miss = p(e, t) / length - y_b(e, t);
      sum += miss * miss;
    }
  }
  return sum * share;
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
    auto phi = load<WithGradient>(architecture, numbers);
    WithGradient mean(0.0);
    TruncationResult result;
    for (const StepData& data : steps) {
      step(coefficients, data.inner, phi);
      const WithGradient objective = judge(phi, data, rule().neuron_local.ridge);
      result.meta_objective.push_back(objective.value());
      mean += objective * WithGradient(1.0 / static_cast<double>(steps.size()));
    }
    result.mean_meta_objective = mean.value();
    result.d_theta.assign(mean.derivatives().begin(), mean.derivatives().end());
    result.phi = store(phi);
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
    auto phi = load<double>(architecture, numbers);
    for (const Batch& inner : minibatches) step(theta, inner, phi);
    return store(phi);
  }

  double checked_meta_objective(const Architecture& architecture, const std::vector<double>&,
                                const std::vector<double>& numbers, const StepData& data) override {
    check_relu(architecture);
    return judge(load<double>(architecture, numbers), data, rule().neuron_local.ridge);
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
