#pragma once
// SGD with momentum as an update rule (docs/update-rule.md, §7); θ holds its learning rates and momenta.
#include <ATen/ATen.h>

#include <vector>

#include "common/rule/layout.h"
#include "common/rule/phi.h"
#include "common/rule/reference/export.h"

namespace outerloop::rule::reference {

using at::Tensor;

/// Hidden layers BN0 and a non-linearity, a linear output layer, softmax cross-entropy on one-hot labels.
/// φ as a list: per layer W, b, momentum_W, momentum_b.
class OUTERLOOP_REFERENCE_API SupervisedSgd {
 public:
  /// `theta`: hidden.log_learning_rate, hidden.logit_momentum, output.log_learning_rate,
  /// output.logit_momentum, [1] each.
  explicit SupervisedSgd(const std::vector<Tensor>& theta);

  /// Mean over the examples of the cross-entropy. x [B, N_0]; y [B, N_L], one-hot, padded with empty classes.
  static Tensor loss(const std::vector<Tensor>& phi, const Tensor& x, const Tensor& y, Nonlinearity kind);

  /// φ after one step: v ← μ v + g, φ ← φ − lr v. With `differentiable` the gradient g stays in the graph;
  /// later differentiation then computes Hessian-vector products.
  std::vector<Tensor> step(const std::vector<Tensor>& phi, const Tensor& x, const Tensor& y,
                           Nonlinearity kind, bool differentiable) const;

 private:
  struct Kind {
    Tensor learning_rate, momentum;  ///< [1]
  };
  Kind hidden_, output_;
};

}  // namespace outerloop::rule::reference
