#include "common/rule/reference/objective.h"

#include <algorithm>
#include <cmath>

#include "common/rule/reference/reductions.h"

namespace outerloop::rule::reference {
namespace {

/// x of examples [examples, inputs] into columns first .. of `to` [inputs, columns].
void transpose_into(const Batch& batch, double* to, std::int64_t columns) {
  for (std::int64_t e = 0; e < batch.examples; ++e)
    for (std::int64_t i = 0; i < batch.inputs; ++i)
      to[i * columns + e] = batch.x[static_cast<std::size_t>(e * batch.inputs + i)];
}

/// Normalised targets into the first columns of `to` [examples, columns].
void normalise_into(const Batch& batch, double* to, std::int64_t columns) {
  double sum = 0.0, squares = 0.0;
  for (const double value : batch.y) sum += value;
  const double mean = sum / static_cast<double>(batch.y.size());
  for (const double value : batch.y) squares += (value - mean) * (value - mean);
  const double scale = 1.0 / std::sqrt(squares / static_cast<double>(batch.examples));
  for (std::int64_t e = 0; e < batch.examples; ++e)
    for (std::int64_t c = 0; c < batch.targets; ++c)
      to[e * columns + c] = (batch.y[static_cast<std::size_t>(e * batch.targets + c)] - mean) * scale;
}

/// y - mean y over the examples that exist, divided by sqrt(epsilon + mean square); 0 for padding.
Tensor standardise_present(const Tensor& y, const LabelledPairs& data) {
  const Tensor share = data.share * 0.5;  // `y` holds both minibatches
  const Tensor centred = (y - y.sum({2}, true) * share) * data.there;
  const Tensor variance = (centred * centred).sum({2}, true) * share;
  return centred * (variance + kBaseModelEpsilon).rsqrt();
}

/// x^L of all examples, 0 for padding: [M, N_L, 2 K].
Tensor features_of(const Phi& phi, const LabelledPairs& data, Nonlinearity kind) {
  Tensor x = data.x;
  for (std::size_t l = 0; l < phi.W.size(); ++l) {
    const Tensor y = at::bmm(phi.W[l].transpose(1, 2), x);
    x = apply_nonlinearity(standardise_present(y, data) + phi.b[l].unsqueeze(2), kind) * data.there;
  }
  return x;
}

}  // namespace

LabelledShape labelled_shape(const std::vector<const StepData*>& steps) {
  LabelledShape shape;
  shape.systems = static_cast<std::int64_t>(steps.size());
  for (const auto* step : steps) {
    shape.inputs = step->a.inputs;
    shape.examples = std::max(shape.examples, step->a.examples);
    shape.targets = std::max(shape.targets, step->a.targets);
  }
  return shape;
}

void append_labelled(const LabelledShape& shape, const std::vector<const StepData*>& steps,
                     std::vector<double>& numbers) {
  const std::int64_t K = shape.examples, M = shape.systems;
  const std::size_t first = numbers.size();
  numbers.resize(first + static_cast<std::size_t>(shape.size()), 0.0);
  double* x = numbers.data() + first;
  double* y_a = x + M * shape.inputs * 2 * K;
  double* y_b = y_a + M * K * shape.targets;
  double* there = y_b + M * K * shape.targets;
  double* share = there + M * 2 * K;
  for (std::int64_t m = 0; m < M; ++m) {
    const auto& step = *steps[static_cast<std::size_t>(m)];
    double* own = x + m * shape.inputs * 2 * K;
    transpose_into(step.a, own, 2 * K);
    transpose_into(step.b, own + K, 2 * K);
    normalise_into(step.a, y_a + m * K * shape.targets, shape.targets);
    normalise_into(step.b, y_b + m * K * shape.targets, shape.targets);
    std::fill_n(there + m * 2 * K, step.a.examples, 1.0);
    std::fill_n(there + m * 2 * K + K, step.b.examples, 1.0);
    share[m] = 1.0 / static_cast<double>(step.a.examples);
  }
}

LabelledPairs labelled_pairs(const LabelledShape& shape, const Tensor& numbers) {
  const std::int64_t K = shape.examples, M = shape.systems;
  const std::int64_t targets = M * K * shape.targets;
  const auto parts = numbers.split_with_sizes({M * shape.inputs * 2 * K, targets, targets, M * 2 * K, M});
  return {parts[0].view({M, shape.inputs, 2 * K}), parts[1].view({M, K, shape.targets}),
          parts[2].view({M, K, shape.targets}), parts[3].view({M, 1, 2 * K}), parts[4].view({M, 1, 1})};
}

Objectives ridge_objectives(const Phi& phi, const LabelledPairs& data, double ridge, Nonlinearity kind) {
  return ridge_objectives(features_of(phi, data, kind), data, ridge);
}

Objectives ridge_objectives(const Tensor& u, const LabelledPairs& data, double ridge) {
  const std::int64_t M = data.x.size(0), K = data.y_a.size(1);
  const std::int64_t units = u.size(1);
  const Tensor augmented = at::cat({u, data.there}, 1);
  const Tensor a = augmented.narrow(2, 0, K), b = augmented.narrow(2, K, K);
  const Tensor penalty = at::full({units + 1}, ridge, u.options().requires_grad(false));
  penalty.narrow(0, units, 1).zero_();

  const Tensor gram = at::bmm(a, a.transpose(1, 2)) + at::diag_embed(penalty);
  const Tensor v = solve_positive(gram, at::bmm(a, data.y_a));
  const Tensor p = at::bmm(b.transpose(1, 2), v);
  // Padding has p = 0, and no direction.
  const Tensor absent = 1 - data.there.narrow(2, K, K).transpose(1, 2);
  const Tensor direction = p * ((p * p).sum({2}, true) + absent).rsqrt();

  const Tensor miss = direction - data.y_b;
  const Tensor weights = v.narrow(1, 0, units);
  Objectives result;
  result.value = ((miss * miss).sum({1, 2}) + (weights * weights).sum({1, 2}) * ridge) * data.share.view({M});
  const Tensor there = u.detach();  // |u| as u sign(u): LibTorch 1.13 has no abs on its meta device
  result.features = (there * there.sign()).view({M, units, 2, K}).sum({1, 3});
  return result;
}

}  // namespace outerloop::rule::reference
