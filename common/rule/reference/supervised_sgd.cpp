#include "common/rule/reference/supervised_sgd.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "common/rule/reference/forward.h"

namespace outerloop::rule::reference {
namespace {

constexpr std::size_t kPerLayer = 4;  // W, b, momentum_W, momentum_b

}  // namespace

SupervisedSgd::SupervisedSgd(const std::vector<Tensor>& theta)
    : hidden_{theta.at(0).exp(), theta.at(1).sigmoid()}, output_{theta.at(2).exp(), theta.at(3).sigmoid()} {}

Tensor SupervisedSgd::loss(const std::vector<Tensor>& phi, const Tensor& x, const Tensor& y,
                           Nonlinearity kind) {
  Tensor a = x;
  const std::size_t layers = phi.size() / kPerLayer;
  for (std::size_t l = 0; l + 1 < layers; ++l) {
    const Tensor pre = at::mm(a, phi[kPerLayer * l]);
    const Tensor centred = pre - pre.mean({0});
    const Tensor rstd = ((centred * centred).mean({0}) + 1e-6).rsqrt();
    a = apply_nonlinearity(centred * rstd + phi[kPerLayer * l + 1], kind);
  }
  const std::size_t last = kPerLayer * (layers - 1);
  const Tensor logits = at::addmm(phi[last + 1], a, phi[last]);
  return -(y * at::log_softmax(logits, 1)).sum() / static_cast<double>(x.size(0));
}

std::vector<Tensor> SupervisedSgd::step(const std::vector<Tensor>& phi, const Tensor& x, const Tensor& y,
                                        Nonlinearity kind, bool differentiable) const {
  const c10::AutoGradMode with_gradient(true);
  std::vector<Tensor> before = phi;
  std::vector<Tensor> weights;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (i % kPerLayer > 1) continue;
    // A tensor without a graph (φ at the start of a truncation) becomes a leaf.
    if (!differentiable || !before[i].requires_grad()) before[i] = before[i].detach().requires_grad_();
    weights.push_back(before[i]);
  }
  const auto gradient =
      torch::autograd::grad({loss(before, x, y, kind)}, weights, {}, differentiable, differentiable);

  const c10::AutoGradMode rest(differentiable);
  std::vector<Tensor> after(before.size());
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const std::size_t weight = kPerLayer * (i / 2) + i % 2, momentum = weight + 2;
    const Kind& rates = weight + kPerLayer < before.size() ? hidden_ : output_;
    after[momentum] = rates.momentum * before[momentum] + gradient[i];
    after[weight] = before[weight] - rates.learning_rate * after[momentum];
  }
  return after;
}

}  // namespace outerloop::rule::reference
