#pragma once
// The Engine interface for supervised_sgd on LibTorch: one task at a time.
#include <vector>

#include "common/rule/reference/supervised_sgd.h"
#include "common/rule/reference/torch_engine.h"

namespace outerloop::rule::reference {

class SupervisedSgdEngine final : public TorchEngine {
 public:
  using TorchEngine::TorchEngine;

  TruncationResult truncation(const Architecture& architecture, const std::vector<double>& theta,
                              const std::vector<double>& phi, const std::vector<StepData>& steps) override;
  std::vector<double> unroll(const Architecture& architecture, const std::vector<double>& theta,
                             const std::vector<double>& phi, const std::vector<Batch>& minibatches) override;
  double meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                        const std::vector<double>& phi, const StepData& step) override;

 private:
  using State = std::vector<Tensor>;

  State step(const SupervisedSgd& sgd, const Architecture& architecture, const State& phi, const Batch& inner,
             bool differentiable) const;
  Tensor loss(const Architecture& architecture, const State& phi, const Batch& batch) const;
  Tensor inputs(const Batch& batch) const;
  Tensor labels(const Architecture& architecture, const Batch& batch) const;
  void tell_of_sweep(const State& phi) const;
  TruncationResult differentiate(const Architecture& architecture, const std::vector<double>& theta,
                                 const std::vector<double>& phi, const std::vector<StepData>& steps) const;
};

}  // namespace outerloop::rule::reference
