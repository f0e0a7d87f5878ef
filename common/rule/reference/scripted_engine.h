#pragma once
// The Engine interface for a TorchScript module (rule torchscript): one task at a time, gradients by
// autograd.
#include <optional>
#include <vector>

#include "common/rule/reference/objective.h"
#include "common/rule/reference/scripted_module.h"
#include "common/rule/reference/torch_engine.h"

namespace outerloop::rule::reference {

class ScriptedEngine final : public TorchEngine {
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

  TruncationResult truncation(const Architecture& architecture, const std::vector<double>& theta,
                              const std::vector<double>& phi, const std::vector<StepData>& steps) override;
  std::vector<double> unroll(const Architecture& architecture, const std::vector<double>& theta,
                             const std::vector<double>& phi, const std::vector<Batch>& minibatches) override;
  double meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                        const std::vector<double>& phi, const StepData& step) override;

 private:
  struct Judgement {
    Tensor value;  ///< [], the meta-objective
    Tensor alive;  ///< [], 0 where the features of a minibatch are all zero; undefined: not known
    bool dead() const { return alive.defined() && alive.item<double>() == 0.0; }
  };

  void set_theta(const std::vector<double>& theta, bool requires_grad);
  State leaves(const Layout& layout, const std::vector<double>& phi) const;
  State step(const Layout& layout, const Architecture& architecture, const State& phi, const Batch& inner);
  Judgement judge(const Layout& layout, const Architecture& architecture, const State& phi,
                  const StepData& step);
  Judgement ridge(const Layout& layout, const State& phi, const StepData& step);
  Tensor inputs(const Batch& batch) const;
  Tensor labels(const Architecture& architecture, const Batch& batch) const;
  void tell_of_sweep(const State& phi);
  std::vector<double> sweep(const Tensor& mean);

  ScriptedModule module_;
  bool sweeping_ = false;
};

}  // namespace outerloop::rule::reference
