#include "common/rule/fused/objective.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>

namespace outerloop::rule::fused {
namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Rows = Eigen::Map<RowMajor>;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// A row of predictions p becomes the direction q = p/‖p‖ (no epsilon); returns 1/‖p‖.
double normalise_row(double* p, std::int64_t targets) {
  double squares = 0.0;
  for (std::int64_t c = 0; c < targets; ++c) squares += p[c] * p[c];
  const double reciprocal = 1.0 / std::sqrt(squares);
  for (std::int64_t c = 0; c < targets; ++c) p[c] *= reciprocal;
  return reciprocal;
}

/// Gradients by x^l of 2 K' examples; nothing reaches z from outside, and the gradient by x[0] is not needed.
template <class Real>
ActivationGradients<Real> take_gradients(Arena<Real>& arena, const Architecture& architecture,
                                         std::int64_t batch) {
  ActivationGradients<Real> gradients;
  gradients.x.push_back(nullptr);
  for (std::int64_t l = 1; l <= architecture.layers(); ++l)
    gradients.x.push_back(arena.take(architecture.units[at(l)] * batch));
  gradients.z.assign(gradients.x.size(), nullptr);
  return gradients;
}

}  // namespace

void normalise_targets(const Batch& batch, double* y) {
  const std::int64_t count = batch.examples * batch.targets;
  double mean = 0.0;
  for (std::int64_t i = 0; i < count; ++i) mean += batch.y[at(i)];
  mean /= static_cast<double>(count);
  double squares = 0.0;
  for (std::int64_t i = 0; i < count; ++i) {
    y[i] = batch.y[at(i)] - mean;
    squares += y[i] * y[i];
  }
  const double scale = std::sqrt(squares / static_cast<double>(batch.examples));
  for (std::int64_t i = 0; i < count; ++i) y[i] /= scale;
}

template <class Real>
MetaObjective<Real>::MetaObjective(InstructionSet set, double ridge, ThreadPool* pool)
    : model_(set, pool), products_(set, pool), ridge_(ridge) {}

template <class Real>
std::int64_t MetaObjective<Real>::workspace_numbers(const Architecture& architecture,
                                                    std::int64_t examples) const {
  Arena<Real> measure;
  Activations<Real>::take(measure, architecture, 2 * examples, false);
  take_gradients(measure, architecture, 2 * examples);
  measure.take(model_.workspace_numbers(architecture, 2 * examples));
  return measure.used();
}

template <class Real>
void MetaObjective<Real>::prepare(const Architecture& architecture, std::int64_t examples,
                                  std::int64_t targets, Real* workspace) {
  architecture_ = architecture;
  examples_ = examples;
  targets_ = targets;
  features_ = architecture.outputs() + 1;

  Arena<Real> arena(workspace, workspace_numbers(architecture, examples));
  activations_ = Activations<Real>::take(arena, architecture, 2 * examples, false);
  gradients_ = take_gradients(arena, architecture, 2 * examples);
  workspace_ = arena.take(model_.workspace_numbers(architecture, 2 * examples));

  const auto take = [&](Arena<double>& part) {
    r_.u = part.take(features_ * 2 * examples_);
    r_.du = part.take(features_ * 2 * examples_);
    r_.gram = part.take(features_ * features_);
    r_.v = part.take(features_ * targets_);
    r_.s = part.take(features_ * targets_);
    r_.q = part.take(examples_ * targets_);
    r_.reciprocal = part.take(examples_);
    r_.t = part.take(examples_ * targets_);
    r_.workspace = part.take(products_.workspace(std::max({features_, examples_, targets_})));
  };
  Arena<double> measure;
  take(measure);
  storage_.reserve(measure.used());
  Arena<double> parts(storage_.data(), storage_.size());
  take(parts);
}

template <class Real>
Evaluation MetaObjective<Real>::evaluate(const PhiPointers<Real>& phi, const LabelledPair<Real>& data,
                                         double factor, const PhiPointers<Real>* d_phi) {
  // 1. Features of both minibatches in one pass
  // The pass only reads its input.
  activations_.x[0] = activations_.z[0] = const_cast<Real*>(data.x);
  model_.forward(architecture_, architecture_.layers(), phi, activations_, workspace_);
  Evaluation evaluation;
  if (!read_features()) {
    evaluation.dead = true;
    return evaluation;
  }

  // 2. The fit on a, scored on b
  evaluation.value = fit_and_predict(data);
  if (!d_phi || !std::isfinite(evaluation.value)) return evaluation;

  // 3. Back through both, and through the base model
  differentiate(data, factor);
  std::copy_n(r_.du, architecture_.outputs() * 2 * examples_, gradients_.x.back());
  for (std::int64_t l = 1; l < architecture_.layers(); ++l)
    std::fill_n(gradients_.x[at(l)], architecture_.units[at(l)] * 2 * examples_, Real{0});
  model_.backward(architecture_, architecture_.layers(), phi, activations_, gradients_, *d_phi, workspace_);
  return evaluation;
}

/// u = [x^L, 1] in float64. False where every feature of one of the minibatches is zero.
template <class Real>
bool MetaObjective<Real>::read_features() {
  const Real* const features = activations_.x.back();
  std::copy_n(features, (features_ - 1) * 2 * examples_, r_.u);
  std::fill_n(r_.u + (features_ - 1) * 2 * examples_, 2 * examples_, 1.0);
  const auto any = [&](std::int64_t first) {
    for (std::int64_t i = 0; i + 1 < features_; ++i) {
      const Real* const row = features + i * 2 * examples_ + first;
      if (std::any_of(row, row + examples_, [](Real value) { return value != Real{0}; })) return true;
    }
    return false;
  };
  return any(0) && any(examples_);
}

/// The bias is not penalised: the last row and column of I′ are zero.
template <class Real>
double MetaObjective<Real>::fit_and_predict(const LabelledPair<Real>& data) {
  const View<double> u_a{r_.u, 2 * examples_, 1}, u_b{r_.u + examples_, 2 * examples_, 1};
  const View<double> y_a{data.y_a, targets_, 1}, v{r_.v, targets_, 1};

  // v = (u_a u_aᵀ + λI′)⁻¹ u_a Y_a
  products_.multiply({features_, features_, examples_, u_a, u_a.transposed(), r_.gram, features_},
                     r_.workspace);
  for (std::int64_t i = 0; i + 1 < features_; ++i) r_.gram[i * (features_ + 1)] += ridge_;
  products_.multiply({features_, targets_, examples_, u_a, y_a, r_.v, targets_}, r_.workspace);
  if (!factorise()) return std::numeric_limits<double>::quiet_NaN();
  solve(r_.v);

  // q = p/‖p‖ with p = u_bᵀ v
  products_.multiply({examples_, targets_, features_, u_b.transposed(), v, r_.q, targets_}, r_.workspace);
  double sum = 0.0;
  for (std::int64_t i = 0; i < examples_; ++i) {
    double* const q = r_.q + i * targets_;
    r_.reciprocal[i] = normalise_row(q, targets_);
    for (std::int64_t c = 0; c < targets_; ++c) {
      const double miss = q[c] - data.y_b[i * targets_ + c];
      sum += miss * miss;
    }
  }
  double penalty = 0.0;
  for (std::int64_t i = 0; i < (features_ - 1) * targets_; ++i) penalty += r_.v[i] * r_.v[i];
  return (sum + ridge_ * penalty) / static_cast<double>(examples_);
}

/// Fills du [F, 2 K'] with the gradient times `factor`.
template <class Real>
void MetaObjective<Real>::differentiate(const LabelledPair<Real>& data, double factor) {
  const std::int64_t F = features_, K = examples_, M = targets_;
  const double scale = 2.0 * factor / static_cast<double>(K);
  const View<double> u_a{r_.u, 2 * K, 1}, u_b{r_.u + K, 2 * K, 1};
  const View<double> v{r_.v, M, 1}, s{r_.s, M, 1}, t{r_.t, M, 1};

  // forward: J = (Σ‖q − Y_b‖² + λ‖v′‖²)/K', q = p/‖p‖; so here dq = scale (q − Y_b), dp = (dq − q (q·dq))/‖p‖
  for (std::int64_t i = 0; i < K; ++i) {
    const double* const q = r_.q + i * M;
    const double* const y = data.y_b + i * M;
    double along = 0.0;
    for (std::int64_t c = 0; c < M; ++c) along += q[c] * (q[c] - y[c]);
    for (std::int64_t c = 0; c < M; ++c)
      r_.t[i * M + c] = scale * r_.reciprocal[i] * (q[c] - y[c] - q[c] * along);
  }

  // forward: p = u_bᵀ v; so here du_b = v dpᵀ and dv = u_b dp, to which the penalty adds
  products_.multiply({F, K, M, v, t.transposed(), r_.du + K, 2 * K}, r_.workspace);
  products_.multiply({F, M, K, u_b, t, r_.s, M}, r_.workspace);
  for (std::int64_t i = 0; i < (F - 1) * M; ++i) r_.s[i] += scale * ridge_ * r_.v[i];

  // forward: v = gram⁻¹ u_a Y_a; so here, with s = gram⁻¹ dv, du_a = s (Y_a − u_aᵀ v)ᵀ − v (u_aᵀ s)ᵀ
  solve(r_.s);
  products_.multiply({K, M, F, u_a.transposed(), v, r_.t, M, -1}, r_.workspace);
  for (std::int64_t i = 0; i < K * M; ++i) r_.t[i] += data.y_a[i];
  products_.multiply({F, K, M, s, t.transposed(), r_.du, 2 * K}, r_.workspace);
  products_.multiply({K, M, F, u_a.transposed(), s, r_.t, M}, r_.workspace);
  products_.multiply({F, K, M, v, t.transposed(), r_.du, 2 * K, -1, true}, r_.workspace);
}

/// gram = L Lᵀ in place; false where it is not positive definite.
template <class Real>
bool MetaObjective<Real>::factorise() {
  Rows gram(r_.gram, features_, features_);
  const Eigen::LLT<Eigen::Ref<RowMajor>> cholesky(gram);
  return cholesky.info() == Eigen::Success;
}

/// columns [F, targets] becomes gram⁻¹ columns.
template <class Real>
void MetaObjective<Real>::solve(double* columns) const {
  const Rows factor(r_.gram, features_, features_);
  Rows x(columns, features_, targets_);
  const auto lower = factor.triangularView<Eigen::Lower>();
  lower.solveInPlace(x);
  lower.transpose().solveInPlace(x);
}

template class MetaObjective<float>;
template class MetaObjective<double>;

}  // namespace outerloop::rule::fused
