#pragma once
// The meta-objective of the neuron-local rule: ridge regression fitted on one labelled minibatch and judged
// on another, in closed form. docs/update-rule.md, §4.
#include <ATen/ATen.h>

#include "common/rule/reference/export.h"
#include "common/rule/reference/forward.h"

namespace outerloop::rule::reference {

/// Two labelled minibatches of the same number of examples K'.
struct LabelledPair {
  Tensor x;    ///< [N_0, 2 K']: the examples of a, then those of b
  Tensor y_a;  ///< [K', targets], normalised
  Tensor y_b;  ///< [K', targets], normalised
};

/// Y - mean(Y), then divided by sqrt(mean over examples of Σ_targets Y²). y [examples, targets].
OUTERLOOP_REFERENCE_API Tensor normalise_targets(const Tensor& y);

struct Objective {
  Tensor value;       ///< a scalar
  bool dead = false;  ///< every feature of one of the minibatches is zero: the value means nothing
};

/// MetaObjective(φ) with ridge λ; the bias is not penalised. Not finite where the numbers overflow.
OUTERLOOP_REFERENCE_API Objective ridge_objective(const Phi& phi, const LabelledPair& data, double ridge,
                                                  Nonlinearity kind);

}  // namespace outerloop::rule::reference
