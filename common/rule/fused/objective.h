#pragma once
// The meta-objective of the neuron-local rule and its adjoint: ridge regression fitted on one labelled
// minibatch and scored on another, in closed form. docs/update-rule.md, §4.
#include <cstdint>
#include <vector>

#include "common/rule/engine.h"
#include "common/rule/fused/arena.h"
#include "common/rule/fused/base_model.h"

namespace outerloop::rule::fused {

/// Y − mean(Y), then divided by sqrt(mean over the examples of Σ_targets Y²): `batch.y` [K', targets] into
/// `y`. Not finite where all targets are equal.
void normalise_targets(const Batch& batch, double* y);

/// The examples of the two labelled minibatches and their targets.
template <class Real>
struct LabelledPair {
  const Real* x = nullptr;      ///< [N_0, 2 K']: the examples of a, then those of b
  const double* y_a = nullptr;  ///< [K', targets], normalised
  const double* y_b = nullptr;  ///< [K', targets], normalised
};

struct Evaluation {
  double value = 0.0;  ///< not finite where the numbers overflow, or a prediction is exactly zero
  bool dead = false;   ///< every feature of one of the minibatches is zero: the value is meaningless
};

/// One forward pass of 2 K' examples in the engine's precision, the regression in float64. Prepared once per
/// size; evaluation does not allocate.
template <class Real>
class MetaObjective {
 public:
  /// `ridge` ≥ 0: λ; the bias is not penalised.
  /// `pool` null: on the caller's thread.
  MetaObjective(InstructionSet set, double ridge, ThreadPool* pool = nullptr);

  /// Size of the workspace for `prepare`. `examples`: K', those in one of the minibatches.
  std::int64_t workspace_numbers(const Architecture& architecture, std::int64_t examples) const;

  /// Sets the sizes of later evaluations and their `workspace`, whose contents need not be preserved between
  /// them.
  void prepare(const Architecture& architecture, std::int64_t examples, std::int64_t targets,
               Real* workspace);

  /// MetaObjective(φ). With `d_phi` also adds `factor` · ∂MetaObjective/∂(W, b) to it, unless features are
  /// dead.
  Evaluation evaluate(const PhiPointers<Real>& phi, const LabelledPair<Real>& data, double factor,
                      const PhiPointers<Real>* d_phi);

 private:
  /// Float64 parts of the regression, F = N_L + 1 rows of features, the last of them 1.
  struct Regression {
    double* u = nullptr;           ///< [F, 2 K']: features
    double* du = nullptr;          ///< [F, 2 K']: gradient by them
    double* gram = nullptr;        ///< [F, F]: u_a u_aᵀ + λI′, then its Cholesky factor
    double* v = nullptr;           ///< [F, targets]: the fit
    double* s = nullptr;           ///< [F, targets]: gram⁻¹ · gradient by v
    double* q = nullptr;           ///< [K', targets]: directions of the predictions on b
    double* reciprocal = nullptr;  ///< [K']: 1/‖prediction‖
    double* t = nullptr;           ///< [K', targets]: scratch space, reused
    double* workspace = nullptr;
  };

  bool read_features();
  double fit_and_predict(const LabelledPair<Real>& data);
  void differentiate(const LabelledPair<Real>& data, double factor);
  bool factorise();
  void solve(double* columns) const;

  BaseModel<Real> model_;
  Products<double> products_;
  double ridge_;

  Architecture architecture_;
  std::int64_t examples_ = 0, targets_ = 0, features_ = 0;  ///< K', targets, F
  Activations<Real> activations_;
  ActivationGradients<Real> gradients_;
  Real* workspace_ = nullptr;
  AlignedBuffer<double> storage_;
  Regression r_;
};

}  // namespace outerloop::rule::fused
