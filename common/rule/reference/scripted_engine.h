#pragma once
// The Engine interface for a TorchScript module (rule torchscript).
#include <vector>

#include "common/rule/reference/autograd_engine.h"
#include "common/rule/reference/objective.h"
#include "common/rule/reference/scripted_module.h"

namespace outerloop::rule::reference {

class ScriptedEngine final : public AutogradEngine {
 public:
  ScriptedEngine(const RuleOptions& rule, const EngineOptions& options);

  /// The module draws from a seed of its own for each (seed, stream, task), with the θ that it was saved
  /// with.
  std::vector<double> initial_phi(const Architecture& architecture, std::uint64_t seed, std::uint32_t stream,
                                  std::uint32_t task) override;
  FrozenStatistics calibrate(const Architecture& architecture, const std::vector<double>& theta,
                             const std::vector<double>& phi, const Matrix& inputs) override;
  Matrix features(const Architecture& architecture, const std::vector<double>& theta,
                  const std::vector<double>& phi, const FrozenStatistics& statistics,
                  const Matrix& inputs) override;

 protected:
  std::vector<Tensor> bind(const std::vector<double>& theta, bool requires_grad) override;
  State step(const Call& call, const State& phi, const Batch& inner) override;
  Judgement judge(const Call& call, const State& phi, const StepData& step) override;
  void refuse_cut_gradient() const override;

 private:
  Judgement ridge(const Layout& layout, const State& phi, const StepData& step);

  ScriptedModule module_;
};

}  // namespace outerloop::rule::reference
