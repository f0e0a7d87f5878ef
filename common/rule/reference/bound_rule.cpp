#include "common/rule/reference/bound_rule.h"

#include "common/base/error.h"
#include "common/rule/reference/neuron_local.h"
#include "common/rule/reference/supervised_sgd.h"
#include "common/rule/reference/transfer.h"

namespace outerloop::rule::reference {
namespace {

Phi as_phi(const std::vector<Tensor>& list) {
  Phi phi;
  for (std::size_t i = 0; i < list.size(); i += 3) {
    phi.W.push_back(list[i]);
    phi.b.push_back(list[i + 1]);
    phi.V.push_back(list[i + 2]);
  }
  return phi;
}

std::vector<Tensor> as_list(const Phi& phi) {
  std::vector<Tensor> list;
  for (std::size_t l = 0; l < phi.W.size(); ++l) list.insert(list.end(), {phi.W[l], phi.b[l], phi.V[l]});
  return list;
}

class BoundNeuronLocal final : public BoundRule {
 public:
  BoundNeuronLocal(const RuleOptions& rule, const Layout& layout, const Architecture& architecture,
                   const std::vector<Tensor>& theta)
      : architecture_(architecture),
        ridge_(rule.neuron_local.ridge),
        options_(theta.front().options().requires_grad(false)),
        rule_(rule.neuron_local, layout, theta) {}

  std::vector<Tensor> step(const std::vector<Tensor>& phi, const Batch& inner) const override {
    const Tensor x = load(inner.x, inner.examples, inner.inputs, options_).t().contiguous();
    return as_list(rule_.step(as_phi(phi), x, architecture_.nonlinearity));
  }

  Objective objective(const std::vector<Tensor>& phi, const StepData& step) const override {
    const auto table = [&](const Batch& batch) {
      return load(batch.x, batch.examples, batch.inputs, options_);
    };
    const auto targets = [&](const Batch& batch) {
      return normalise_targets(load(batch.y, batch.examples, batch.targets, options_));
    };
    const Tensor x = at::cat({table(step.a), table(step.b)}).t().contiguous();
    return ridge_objective(as_phi(phi), {x, targets(step.a), targets(step.b)}, ridge_,
                           architecture_.nonlinearity);
  }

 private:
  Architecture architecture_;
  double ridge_;
  at::TensorOptions options_;
  NeuronLocal rule_;
};

class BoundSupervisedSgd final : public BoundRule {
 public:
  BoundSupervisedSgd(const Architecture& architecture, const std::vector<Tensor>& theta, bool differentiable)
      : architecture_(architecture),
        options_(theta.front().options().requires_grad(false)),
        rule_(theta),
        differentiable_(differentiable) {}

  std::vector<Tensor> step(const std::vector<Tensor>& phi, const Batch& inner) const override {
    return rule_.step(phi, inputs(inner), labels(inner), architecture_.nonlinearity, differentiable_);
  }

  Objective objective(const std::vector<Tensor>& phi, const StepData& step) const override {
    return {SupervisedSgd::loss(phi, inputs(step.b), labels(step.b), architecture_.nonlinearity), false};
  }

 private:
  Tensor inputs(const Batch& batch) const { return load(batch.x, batch.examples, batch.inputs, options_); }

  /// Outputs beyond the task's classes are classes that never occur.
  Tensor labels(const Batch& batch) const {
    const Tensor y = load(batch.y, batch.examples, batch.targets, options_);
    return at::constant_pad_nd(y, {0, architecture_.outputs() - batch.targets});
  }

  Architecture architecture_;
  at::TensorOptions options_;
  SupervisedSgd rule_;
  bool differentiable_;
};

}  // namespace

std::unique_ptr<BoundRule> bind_rule(const RuleOptions& rule, const Layout& theta_layout,
                                     const Architecture& architecture, const std::vector<Tensor>& theta,
                                     bool differentiable) {
  if (rule.name == "supervised_sgd")
    return std::make_unique<BoundSupervisedSgd>(architecture, theta, differentiable);
  if (rule.name == "neuron_local")
    return std::make_unique<BoundNeuronLocal>(rule, theta_layout, architecture, theta);
  throw InputError("engine.kind: reference does not know the rule " + rule.name + "; take fused");
}

}  // namespace outerloop::rule::reference
