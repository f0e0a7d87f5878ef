#pragma once
// The Engine interface for supervised_sgd on LibTorch.
#include <optional>
#include <vector>

#include "common/rule/reference/autograd_engine.h"
#include "common/rule/reference/supervised_sgd.h"

namespace outerloop::rule::reference {

class SupervisedSgdEngine final : public AutogradEngine {
 public:
  using AutogradEngine::AutogradEngine;

 protected:
  std::vector<Tensor> bind(const std::vector<double>& theta, bool requires_grad) override;
  State step(const Call& call, const State& phi, const Batch& inner) override;
  Judgement judge(const Call& call, const State& phi, const StepData& step) override;

 private:
  std::optional<SupervisedSgd> sgd_;  ///< with the θ that is bound
};

}  // namespace outerloop::rule::reference
