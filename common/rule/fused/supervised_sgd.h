#pragma once
// SGD with momentum as an update rule, with its exact meta-gradient: docs/update-rule.md, §7.
// Models are small and runs rare: written for clarity, with Eigen's matrix products.
#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "common/rule/phi.h"

namespace outerloop::rule::fused {

/// A labelled minibatch. A batch norm's rows are units, so examples run along the rows.
template <class Real>
struct LabelledExamples {
  std::int64_t examples = 0;
  const Real* x = nullptr;  ///< [N_0, examples]
  const Real* y = nullptr;  ///< [N_L, examples]: one-hot; outputs beyond the task's classes are zero
};

/// The data of one step that a truncation's reverse sweep needs.
template <class Real>
struct SgdStep {
  LabelledExamples<Real> inner;   ///< the minibatch of the step
  LabelledExamples<Real> judged;  ///< its cross-entropy after the step is the meta-objective
  const Real* before = nullptr;   ///< φ before the step
  const Real* after = nullptr;    ///< φ after it
};

/// A base model of hidden layers with BN0 and the non-linearity, a linear output layer and softmax
/// cross-entropy. φ is flat, as phi_layout lays it out: W, b, momentum_W, momentum_b of every layer.
template <class Real>
class SupervisedSgd {
 public:
  /// θ: hidden.log_learning_rate, hidden.logit_momentum, output.log_learning_rate, output.logit_momentum.
  SupervisedSgd(const Architecture& architecture, const std::array<double, 4>& theta);

  /// Mean over the examples of the cross-entropy of the given φ.
  double loss(const Real* phi, const LabelledExamples<Real>& data) const;

  /// v ← μ v + ∂loss/∂(W, b), then (W, b) ← (W, b) − lr v. `after` may be `phi`.
  void step(const Real* phi, const LabelledExamples<Real>& data, Real* after) const;

  /// ∂/∂θ of the mean over the steps of the meta-objective, φ before the first step held fixed. Contains one
  /// Hessian-vector product for every step but the first. `after_step` is called after each.
  std::array<double, 4> meta_gradient(
      const std::vector<SgdStep<Real>>& steps, const std::function<void()>& after_step = [] {}) const;

 private:
  struct Rates {
    Real learning_rate, momentum;
  };
  const Rates& rates(std::int64_t layer) const {
    return layer + 1 < architecture_.layers() ? hidden_ : output_;
  }

  Architecture architecture_;
  Rates hidden_, output_;
  std::int64_t phi_size_ = 0;
};

}  // namespace outerloop::rule::fused
