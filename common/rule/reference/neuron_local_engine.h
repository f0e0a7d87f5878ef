#pragma once
// The Engine interface for neuron_local on LibTorch: several tasks (lanes) side by side, in tensors with a
// leading axis. Each call copies once to the device at its start and once back at its end; nothing is read in
// between.
#include <cstdint>
#include <vector>

#include "common/rule/reference/lane_truncation.h"
#include "common/rule/reference/packed_theta.h"
#include "common/rule/reference/torch_engine.h"

namespace outerloop::rule::reference {

class NeuronLocalEngine final : public TorchEngine {
 public:
  NeuronLocalEngine(const RuleOptions& rule, const EngineOptions& options);

  TruncationResult truncation(const Architecture& architecture, const std::vector<double>& theta,
                              const std::vector<double>& phi, const std::vector<StepData>& steps) override;
  std::vector<double> unroll(const Architecture& architecture, const std::vector<double>& theta,
                             const std::vector<double>& phi, const std::vector<Batch>& minibatches) override;
  double meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                        const std::vector<double>& phi, const StepData& step) override;

  std::vector<TruncationResult> truncations(const Architecture& architecture,
                                            const std::vector<double>& theta,
                                            const std::vector<TruncationLane>& lanes) override;
  std::vector<std::vector<double>> unrolls(const Architecture& architecture, const std::vector<double>& theta,
                                           const std::vector<UnrollLane>& lanes) override;
  std::vector<double> meta_objectives(const Architecture& architecture, const std::vector<double>& theta,
                                      const std::vector<ObjectiveLane>& lanes) override;

 private:
  /// How many of `lanes` to compute at once, apart from memory.
  std::int64_t lanes_at_once(std::size_t lanes, const Architecture& architecture, std::int64_t batch) const;
  LaneSetup setup(const Architecture& architecture, const Layout& layout) const;

  PackedTheta packed_;
  std::int64_t budget_ = 0;  ///< bytes; 0: unlimited
};

}  // namespace outerloop::rule::reference
