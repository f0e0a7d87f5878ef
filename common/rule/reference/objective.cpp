#include "common/rule/reference/objective.h"

namespace outerloop::rule::reference {

Tensor normalise_targets(const Tensor& y) {
  const Tensor centred = y - y.mean();
  return centred / (centred * centred).sum(1).mean().sqrt();
}

Objective ridge_objective(const Phi& phi, const LabelledPair& data, double ridge, Nonlinearity kind) {
  const std::int64_t examples = data.y_a.size(0);
  const Tensor u = forward(phi, data.x, kind).x.back().t();  // [2 K', N_L]
  const Tensor ones = at::ones({2 * examples, 1}, u.options());
  const auto augmented = at::cat({u, ones}, 1).split(examples);
  const Tensor penalty = at::full({u.size(1) + 1}, ridge, u.options());
  penalty.narrow(0, u.size(1), 1).zero_();

  const Tensor gram = at::mm(augmented[0].t(), augmented[0]) + at::diag(penalty);
  const Tensor factor = std::get<0>(at::linalg_cholesky_ex(gram));
  const Tensor v = at::cholesky_solve(at::mm(augmented[0].t(), data.y_a), factor);
  const Tensor p = at::mm(augmented[1], v);
  const Tensor direction = p * (p * p).sum({1}, true).rsqrt();

  const Tensor miss = direction - data.y_b;
  const Tensor weights = v.narrow(0, 0, u.size(1));
  Objective result;
  result.value = ((miss * miss).sum() + ridge * (weights * weights).sum()) / static_cast<double>(examples);
  const Tensor features = u.detach();
  result.dead = !features.narrow(0, 0, examples).any().item<bool>() ||
                !features.narrow(0, examples, examples).any().item<bool>();
  return result;
}

}  // namespace outerloop::rule::reference
