#pragma once
// k inner steps of the neuron-local rule and one reverse sweep through them, within a memory budget.
#include <functional>
#include <utility>
#include <vector>

#include "common/rule/engine.h"
#include "common/rule/fused/objective.h"
#include "common/rule/fused/update_rule.h"

namespace outerloop::rule::fused {

template <class Real>
class Truncation {
 public:
  /// `budget`: limit in bytes for kept activations, φ and workspace. `mixed`: see mixed_convolution_kernels.
  /// `pool`: threads for the parts that are large enough to parallelise; not owned.
  Truncation(const NeuronLocalSize& size, const Layout& theta_layout, InstructionSet set, bool mixed,
             std::int64_t budget, ThreadPool& pool);

  /// Engine::truncation, with sizes already checked.
  TruncationResult run(const Architecture& architecture, const std::vector<double>& theta,
                       const std::vector<double>& phi, const std::vector<StepData>& steps);
  /// Engine::unroll.
  std::vector<double> unroll(const Architecture& architecture, const std::vector<double>& theta,
                             const std::vector<double>& phi, const std::vector<Batch>& minibatches);
  /// Engine::meta_objective.
  double meta_objective(const Architecture& architecture, const std::vector<double>& phi,
                        const StepData& step);

  std::int64_t arena_bytes() const { return buffer_.size() * static_cast<std::int64_t>(sizeof(Real)); }
  /// See Engine::set_after_step.
  void set_after_step(std::function<void()> act) { after_step_ = std::move(act); }
  void set_profiler(Profiler* profiler) { rule_.shared().profiler = profiler; }

 private:
  /// The sizes that the arena is laid out for.
  struct Sizes {
    Architecture architecture;
    std::int64_t batch = 0;     ///< B; 0: no inner step
    std::int64_t labelled = 0;  ///< K'; 0: no meta-objective
    std::int64_t targets = 0;
    std::int64_t steps = 0;  ///< k of a truncation; 0: forward only
    bool operator==(const Sizes& o) const {
      return architecture == o.architecture && batch == o.batch && labelled == o.labelled &&
             targets == o.targets && steps == o.steps;
    }
  };

  void prepare(const Sizes& sizes);
  std::int64_t lay_out(Arena<Real>& arena, std::int64_t slots, bool record);
  std::int64_t slots_within_budget();
  PhiPointers<Real> pointers(Real* phi) const;
  Evaluation judge(std::size_t t, const StepData& step, double factor, const PhiPointers<Real>* d_phi);
  void step_forward(std::size_t t, const StepData& step, const StepKept<Real>& kept);
  std::size_t slot(std::size_t t) const;
  TruncationResult failed(const std::vector<StepData>& steps);

  UpdateRule<Real> rule_;
  MetaObjective<Real> objective_;
  std::function<void()> after_step_ = [] {};
  std::int64_t budget_;
  AlignedBuffer<Real> buffer_;
  Sizes sizes_;
  Layout phi_layout_;
  RuleOptions options_;
  std::vector<PhiPointers<Real>> phi_;  ///< φ_0 .. φ_k, or two that alternate
  std::vector<Real*> phi_flat_;
  PhiPointers<Real> d_phi_;
  Real* d_phi_flat_ = nullptr;
  Real* labelled_ = nullptr;  ///< [N_0, 2 K']
  std::vector<StepKept<Real>> kept_;
  std::vector<double> y_a_, y_b_;
};

}  // namespace outerloop::rule::fused
