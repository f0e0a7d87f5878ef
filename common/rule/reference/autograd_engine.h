#pragma once
// Base class of engines whose gradient is autograd's: a rule adds its step and its meta-objective in tensors.
// One task at a time; a truncation is one graph.
#include <vector>

#include "common/rule/reference/torch_engine.h"

namespace outerloop::rule::reference {

using at::Tensor;

class AutogradEngine : public TorchEngine {
 public:
  using TorchEngine::TorchEngine;

  TruncationResult truncation(const Architecture& architecture, const std::vector<double>& theta,
                              const std::vector<double>& phi, const std::vector<StepData>& steps) override;
  std::vector<double> unroll(const Architecture& architecture, const std::vector<double>& theta,
                             const std::vector<double>& phi, const std::vector<Batch>& minibatches) override;
  double meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                        const std::vector<double>& phi, const StepData& step) override;

 protected:
  using State = std::vector<Tensor>;  ///< φ in the order of its layout

  /// A call of the engine: what its steps have in common.
  struct Call {
    const Architecture& architecture;
    const Layout& phi;  ///< φ's layout
    bool differentiable = false;
  };

  /// The meta-objective of a φ.
  struct Judgement {
    Tensor value;  ///< [1] or []
    Tensor alive;  ///< [], 0 where the features of a minibatch are all zero; undefined: not known
    bool dead() const { return alive.defined() && alive.item<double>() == 0.0; }
  };

  /// Binds θ for the calls of step() and judge() that follow. Returns its tensors, which a gradient is taken
  /// by if `requires_grad`.
  virtual std::vector<Tensor> bind(const std::vector<double>& theta, bool requires_grad) = 0;
  /// φ after an inner step. The tensors of `phi` require gradients. Gradients are on.
  virtual State step(const Call& call, const State& phi, const Batch& inner) = 0;
  virtual Judgement judge(const Call& call, const State& phi, const StepData& step) = 0;
  /// The meta-objective depends on no parameter. Default: the gradient is 0.
  virtual void refuse_cut_gradient() const {}

  Tensor inputs(const Batch& batch) const;
  /// y; of a supervised rule outputs beyond the task's classes are classes that never occur.
  Tensor labels(const Architecture& architecture, const Batch& batch) const;
  State leaves(const Layout& layout, const std::vector<double>& phi) const;

 private:
  void tell_of_sweep(const State& phi);
  std::vector<double> sweep(const Tensor& mean, const std::vector<Tensor>& theta);

  bool sweeping_ = false;
};

}  // namespace outerloop::rule::reference
