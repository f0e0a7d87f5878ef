#pragma once
// The base model and the meta-objective of unsupervised rules, for double and for Eigen's numbers that carry
// derivatives (AutoDiffScalar): an engine then consists of its step. Needs Eigen. Equations:
// docs/update-rule.md, §2 and §4; an example: docs/extending.md.
#include <Eigen/Dense>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/rule/engine.h"

namespace outerloop::rule::generic {

template <class S>
using Rows = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class S>
struct Layer {
  Rows<S> W;                              ///< [N_{l-1}, N_l]
  Eigen::Matrix<S, 1, Eigen::Dynamic> b;  ///< [N_l]
};

/// φ of a rule that keeps "l/W" and "l/b" of every layer and nothing else.
template <class S>
using Phi = std::vector<Layer<S>>;

/// The number without its derivatives.
template <class S>
double value_of(const S& x) {
  if constexpr (std::is_arithmetic_v<S>)
    return static_cast<double>(x);
  else
    return x.value();
}

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

/// A batch's x or y as [rows, columns].
template <class S>
Rows<S> table(const std::vector<double>& numbers, std::int64_t rows) {
  const auto columns = static_cast<Eigen::Index>(numbers.size()) / rows;
  return Eigen::Map<const Rows<double>>(numbers.data(), rows, columns).cast<S>();
}

/// x^0 .. x^L [examples, N_l]: BN0 over the examples, plus b, then relu (§2).
template <class S>
std::vector<Rows<S>> activations(const Phi<S>& phi, Rows<S> input) {
  constexpr double kEpsilon = 1e-6;  // of BN0
  using std::sqrt;
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

/// y less its mean, over the root mean square length of its rows.
inline Rows<double> normalised(const Batch& batch) {
  Rows<double> y = table<double>(batch.y, batch.examples);
  y.array() -= y.mean();
  return y / std::sqrt(y.squaredNorm() / static_cast<double>(y.rows()));
}

template <class S>
bool all_zero(const Rows<S>& rows) {
  for (Eigen::Index i = 0; i < rows.size(); ++i)
    if (value_of(rows.data()[i]) != 0.0) return false;
  return true;
}

/// The meta-objective from the features of both labelled minibatches [examples, units] (§4).
template <class S>
S ridge_objective(Rows<S> a, Rows<S> b, const StepData& step, double ridge) {
  using std::sqrt;
  Rows<S> y_a = normalised(step.a).cast<S>();
  const Rows<S> y_b = normalised(step.b).cast<S>();
  // The constant's weight is not penalised: the regression is one of what is left without the means.
  const S share(1.0 / static_cast<double>(a.rows()));
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
  for (Eigen::Index e = 0; e < p.rows(); ++e) {
    const S length = sqrt(S(p.row(e).squaredNorm()));
    for (Eigen::Index t = 0; t < p.cols(); ++t) {
      const S miss = p(e, t) / length - y_b(e, t);
      sum += miss * miss;
    }
  }
  return sum * share;
}

/// The meta-objective of φ; NaN where all features of a or b are 0.
template <class S>
S meta_objective(const Phi<S>& phi, const StepData& step, double ridge) {
  const Eigen::Index examples = step.a.examples;
  Rows<double> both(2 * examples, step.a.inputs);
  both << table<double>(step.a.x, examples), table<double>(step.b.x, examples);
  const Rows<S> x = activations(phi, Rows<S>(both.cast<S>())).back();
  const Rows<S> a = x.topRows(examples), b = x.bottomRows(examples);
  if (all_zero(a) || all_zero(b)) return S(std::numeric_limits<double>::quiet_NaN());
  return ridge_objective(a, b, step, ridge);
}

}  // namespace outerloop::rule::generic
