#pragma once
// The meta-objective of the neuron-local rule: ridge regression fitted on one labelled minibatch and scored
// on another, in closed form, for many base models in one batch. docs/update-rule.md, §4.
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "common/rule/engine.h"
#include "common/rule/reference/export.h"
#include "common/rule/reference/forward.h"

namespace outerloop::rule::reference {

/// Shape of the flat tensor that holds the numbers of `labelled_pairs`.
struct LabelledShape {
  std::int64_t systems = 0;   ///< M: base models
  std::int64_t inputs = 0;    ///< N_0
  std::int64_t examples = 0;  ///< K: examples of the largest minibatch
  std::int64_t targets = 0;   ///< columns of the widest targets

  std::int64_t size() const { return systems * (2 * examples * (inputs + targets + 1) + 1); }
};

/// Two labelled minibatches of each of M base models, padded with zeros to the sizes of the largest.
struct LabelledPairs {
  Tensor x;      ///< [M, N_0, 2 K]: the examples of a, then those of b
  Tensor y_a;    ///< [M, K, targets], normalised: Y - mean(Y), divided by sqrt(mean over examples of Σ Y²)
  Tensor y_b;    ///< [M, K, targets], the same of b
  Tensor there;  ///< [M, 1, 2 K]: 1 for an example, 0 for padding
  Tensor share;  ///< [M, 1, 1]: 1 / K', K' the examples of one minibatch of that model
};

/// Sizes that fit all of `steps`.
OUTERLOOP_REFERENCE_API LabelledShape labelled_shape(const std::vector<const StepData*>& steps);
/// Appends the numbers of `steps`, one base model each.
OUTERLOOP_REFERENCE_API void append_labelled(const LabelledShape& shape,
                                             const std::vector<const StepData*>& steps,
                                             std::vector<double>& numbers);
/// Views of those numbers, on their present device. `numbers` [size()].
OUTERLOOP_REFERENCE_API LabelledPairs labelled_pairs(const LabelledShape& shape, const Tensor& numbers);

struct Objectives {
  Tensor value;     ///< [M]
  Tensor features;  ///< [M, 2]: Σ |x^L| over a and b; `value` is void if one is 0
};

/// MetaObjective of M φ with ridge λ; the bias is not penalised. Not finite if numbers overflow.
OUTERLOOP_REFERENCE_API Objectives ridge_objectives(const Phi& phi, const LabelledPairs& data, double ridge,
                                                    Nonlinearity kind);
/// The same of features u [M, units, 2 K] of a and b, which are 0 where data.there is.
OUTERLOOP_REFERENCE_API Objectives ridge_objectives(const Tensor& u, const LabelledPairs& data, double ridge);

}  // namespace outerloop::rule::reference
