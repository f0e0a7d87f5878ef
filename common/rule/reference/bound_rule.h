#pragma once
// Interface of an update rule in LibTorch: inner steps and a meta-objective, differentiable by θ.
#include <memory>
#include <vector>

#include "common/rule/engine.h"
#include "common/rule/reference/objective.h"

namespace outerloop::rule::reference {

/// A rule with one θ and one base model. φ is a list of tensors in the order of its layout.
class BoundRule {
 public:
  virtual ~BoundRule() = default;

  /// φ after one inner step.
  virtual std::vector<Tensor> step(const std::vector<Tensor>& phi, const Batch& inner) const = 0;
  virtual Objective objective(const std::vector<Tensor>& phi, const StepData& step) const = 0;
};

/// `theta` by the layout of the rule; with `differentiable` everything that follows keeps its graph.
std::unique_ptr<BoundRule> bind_rule(const RuleOptions& rule, const Layout& theta_layout,
                                     const Architecture& architecture, const std::vector<Tensor>& theta,
                                     bool differentiable);

}  // namespace outerloop::rule::reference
