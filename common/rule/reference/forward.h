#pragma once
// The base model's forward pass, differentiable (docs/update-rule.md, §2), of S tasks (lanes) side by side.
// Units before examples: x [S, units, examples].
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "common/rule/phi.h"
#include "common/rule/reference/export.h"

namespace outerloop::rule::reference {

using at::Tensor;

/// Epsilon of the base model's batch norm.
constexpr double kBaseModelEpsilon = 1e-6;

/// The base model's non-linearity, element by element. Slopes as in base_model.h; step has no gradient.
Tensor apply_nonlinearity(const Tensor& z, Nonlinearity kind);

/// φ of the neuron-local rule as tensors, or its derivatives.
struct Phi {
  std::vector<Tensor> W;  ///< [l - 1]: [S, N_{l-1}, N_l]
  std::vector<Tensor> b;  ///< [l - 1]: [S, N_l]
  std::vector<Tensor> V;  ///< [l - 1]: shape of W; carries the error signal down

  std::int64_t layers() const { return static_cast<std::int64_t>(W.size()); }
};

/// Activations of every layer.
struct Forward {
  std::vector<Tensor> x;  ///< [l = 0..L]: [S, N_l, examples]; x[0] is the input
  std::vector<Tensor> z;  ///< [l = 0..L]: [S, N_l, examples]; z[0] = x[0]
};

/// z^l = BN0(x^{l-1} W^l) + b^l, x^l = f(z^l). BN0 per unit over the examples, biased variance, eps 1e-6.
OUTERLOOP_REFERENCE_API Forward forward(const Phi& phi, const Tensor& x, Nonlinearity kind);

}  // namespace outerloop::rule::reference
