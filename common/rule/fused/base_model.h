#pragma once
// The base model's forward pass, x^l = φ(BN0(x^{l-1} W^l) + b^l), and its adjoint. The layout is [units,
// batch], so that batch norm's statistics run along rows. (For evaluation with frozen statistics and no
// gradient, see common/rule/base_model.h.)
#include <cstdint>
#include <vector>

#include "common/rule/fused/arena.h"
#include "common/rule/fused/product.h"
#include "common/rule/fused/row_kernels.h"
#include "common/rule/phi.h"

namespace outerloop::rule::fused {

/// Pointers to one φ or to its gradient, l = 0 .. L-1 for layers 1 .. L. V is null where the rule has none.
template <class Real>
struct PhiPointers {
  std::vector<Real*> W;  ///< [N_{l-1}, N_l]
  std::vector<Real*> b;  ///< [N_l]
  std::vector<Real*> V;  ///< [N_{l-1}, N_l]
};

/// Activations of one forward pass, l = 0 .. L. Rows of `batch` numbers, dense.
template <class Real>
struct Activations {
  std::int64_t batch = 0;
  std::vector<Real*> x;     ///< [N_l, batch]; x[0] is the input
  std::vector<Real*> z;     ///< [N_l, batch]; z[0] = x[0]
  std::vector<Real*> rstd;  ///< [N_l]: 1/sqrt(var + 1e-6) of the pre-activation; rstd[0] is null

  /// Takes the memory for a pass of `batch` examples from the arena; x[0] stays null unless `with_input`.
  static Activations take(Arena<Real>& arena, const Architecture& architecture, std::int64_t batch,
                          bool with_input = true);
};

/// Gradients by x^l and z^l: those from outside (the update rule, the read-out), and those of the backward
/// pass.
template <class Real>
struct ActivationGradients {
  std::vector<Real*> x;  ///< [N_l, batch]; x[0] may be null if it is not needed
  std::vector<Real*> z;  ///< [N_l, batch]; entries may be null where nothing comes from outside
};

template <class Real>
class BaseModel {
 public:
  /// `pool` null: on the caller's thread.
  explicit BaseModel(InstructionSet set, ThreadPool* pool = nullptr);

  /// Workspace for either direction.
  std::int64_t workspace_numbers(const Architecture& architecture, std::int64_t batch) const;

  /// Fills z, x, rstd of layers 1 .. `layers` from x[0].
  void forward(const Architecture& architecture, std::int64_t layers, const PhiPointers<Real>& phi,
               const Activations<Real>& activations, Real* workspace) const;

  /// Adds ∂/∂W and ∂/∂b of layers 1 .. `layers` to `d_phi`, and the gradient by the input to
  /// `d_activations.x[0]` if that is not null. The other entries of `d_activations.x` are overwritten: on
  /// return x[l] is the gradient by the pre-activation.
  void backward(const Architecture& architecture, std::int64_t layers, const PhiPointers<Real>& phi,
                const Activations<Real>& activations, const ActivationGradients<Real>& d_activations,
                const PhiPointers<Real>& d_phi, Real* workspace) const;

 private:
  Products<Real> products_;
  const RowKernels<Real>& rows_;
};

}  // namespace outerloop::rule::fused
