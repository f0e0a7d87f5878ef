#pragma once
// One inner step of the neuron-local rule, φ → φ', and its adjoint (docs/update-rule.md, §3;
// docs/lab/fused-kernels.md).
#include <cstdint>
#include <memory>
#include <vector>

#include "common/rule/fused/base_model.h"
#include "common/rule/fused/hidden.h"
#include "common/rule/fused/kernels.h"
#include "common/rule/fused/parameters.h"
#include "common/rule/fused/top.h"
#include "common/rule/fused/weight_change.h"

namespace outerloop::rule::fused {

/// Values that a step keeps for its backward pass. Pointers into an arena; set once per size.
template <class Real>
struct StepKept {
  Activations<Real> activations;
  std::vector<Real*> standard, standard_rstd;  ///< x^l standardised over the batch [N_l, B], [N_l]
  std::vector<Real*> by_column, by_row;        ///< statistics of W^{l+1}
  std::vector<Real*> statistics_scale;         ///< one number per layer
  TopKept<Real> top;
  std::vector<HiddenKept<Real>> hidden;  ///< l = 0 .. L
  std::vector<Real*> weight_change;      ///< of layers 1 .. L
  std::vector<Real*> backward_change;    ///< of V, with separate_backward_readouts
};

template <class Real>
class UpdateRule {
 public:
  /// `mixed`: see mixed_convolution_kernels.
  UpdateRule(const NeuronLocalSize& size, const Layout& theta_layout, InstructionSet set, bool mixed,
             ThreadPool& pool);

  Parameters<Real>& parameters() { return parameters_; }
  Shared<Real>& shared() { return shared_; }

  /// Sets the sizes of the steps that follow.
  void prepare(const Architecture& architecture, std::int64_t batch);

  /// Takes the memory for the values that one step keeps.
  StepKept<Real> take_kept(Arena<Real>& arena) const;
  /// Takes the scratch memory of the forward pass and, if requested, of the backward pass.
  void take_workspace(Arena<Real>& arena, bool with_backward);

  /// `next` = φ after the step on kept.activations.x[0]. `next` may not be `phi`.
  void forward(const PhiPointers<Real>& phi, const StepKept<Real>& kept, const PhiPointers<Real>& next);

  /// `d_phi` is the gradient by φ' on entry and by φ on return; gradients by θ are added to those of the
  /// parameters.
  void backward(const PhiPointers<Real>& phi, const StepKept<Real>& kept, const PhiPointers<Real>& d_phi);

 private:
  std::size_t layers() const { return architecture_.units.size() - 1; }
  std::int64_t units(std::size_t l) const { return architecture_.units[l]; }
  HiddenSize hidden_size(std::size_t l) const;
  WeightChangeSize change_size(std::size_t l) const;
  std::int64_t d_row(std::size_t l) const;
  WeightChangeInput<Real> change_input(std::size_t l, bool backward, const Real* W,
                                       const StepKept<Real>& kept) const;
  std::array<Real*, kUpperReadouts> upper_planes(std::size_t l, bool backward, Real* planes) const;
  std::array<Real*, kLowerReadouts> lower_planes(std::size_t l, bool backward, Real* planes) const;
  void statistics(const PhiPointers<Real>& phi, const StepKept<Real>& kept);
  void change_layer(std::size_t l, const PhiPointers<Real>& phi, const StepKept<Real>& kept,
                    const PhiPointers<Real>& next);
  void clear_gradients();
  void change_layer_backward(std::size_t l, const PhiPointers<Real>& phi, const StepKept<Real>& kept,
                             const PhiPointers<Real>& d_phi);
  void send_up(std::size_t l, const PhiPointers<Real>& phi, const StepKept<Real>& kept,
               const PhiPointers<Real>& d_phi);
  void hidden_backward(std::size_t l, const StepKept<Real>& kept, const PhiPointers<Real>& d_phi);

  Kernels<Real> kernels_;
  Parameters<Real> parameters_;
  Shared<Real> shared_;
  BaseModel<Real> base_model_;
  TopNetwork<Real> top_;
  HiddenNetwork<Real> hidden_;
  WeightChange<Real> weight_change_;

  Architecture architecture_;
  std::int64_t batch_ = 0;
  std::vector<std::vector<Real>> waves_;  ///< identity_waves of each layer
  Real* workspace_ = nullptr;             ///< of the current part
  Real* d_ = nullptr;                     ///< error signals and their gradients [widest, B · padded D]
  Real* d_error_ = nullptr;               ///< ∂/∂δ^l
  Real* change_ = nullptr;                ///< ΔW or its gradient
  Real* d_constants_ = nullptr;
  std::vector<Real*> d_planes_, d_means_, d_standard_;
  ActivationGradients<Real> d_activations_;  ///< of layers 1 .. L
  std::vector<Real*> d_by_column_, d_by_row_;
  Real* bias_ = nullptr;  ///< Δb or its gradient
};

}  // namespace outerloop::rule::fused
