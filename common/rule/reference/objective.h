#pragma once
// The meta-objective of the neuron-local rule: ridge regression fitted on one labelled minibatch and judged
// on another, in closed form, for many base models in one batch. docs/update-rule.md, §4.
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "common/rule/engine.h"
#include "common/rule/reference/export.h"
#include "common/rule/reference/forward.h"

namespace outerloop::rule::reference {

/// Where the numbers of one flat tensor lie that `labelled_pairs` are made of.
struct LabelledShape {
  std::int64_t systems = 0;   ///< M: base models
  std::int64_t inputs = 0;    ///< N_0
  std::int64_t examples = 0;  ///< K: the most examples that one minibatch has
  std::int64_t targets = 0;   ///< the most columns

  std::int64_t size() const { return systems * (2 * examples * (inputs + targets + 1) + 1); }
};

/// Two labelled minibatches of each of M base models, padded with zeros to the sizes of the largest.
struct LabelledPairs {
  Tensor x;      ///< [M, N_0, 2 K]: the examples of a, then those of b
  Tensor y_a;    ///< [M, K, targets], normalised: Y - mean(Y), divided by sqrt(mean over examples of Σ Y²)
  Tensor y_b;    ///< [M, K, targets], likewise
  Tensor there;  ///< [M, 1, 2 K]: 1 for an example, 0 for padding
  Tensor share;  ///< [M, 1, 1]: 1 / K', K' the examples of one minibatch of that model
};

/// Sizes that hold every one of `steps`.
OUTERLOOP_REFERENCE_API LabelledShape labelled_shape(const std::vector<const StepData*>& steps);
/// Appends the numbers of `steps`, one base model each.
OUTERLOOP_REFERENCE_API void append_labelled(const LabelledShape& shape,
                                             const std::vector<const StepData*>& steps,
                                             std::vector<double>& numbers);
/// Views of those numbers, on whatever device they are by now. `numbers` [size()].
OUTERLOOP_REFERENCE_API LabelledPairs labelled_pairs(const LabelledShape& shape, const Tensor& numbers);

struct Objectives {
  Tensor value;  ///< [M]
  Tensor
      features;  ///< [M, 2]: Σ |x^L| over the examples of a and of b; where one is 0 the value means nothing
};

/// MetaObjective of M φ with ridge λ; the bias is not penalised. Not finite where the numbers overflow.
OUTERLOOP_REFERENCE_API Objectives ridge_objectives(const Phi& phi, const LabelledPairs& data, double ridge,
                                                    Nonlinearity kind);
/// The same of features u [M, units, 2 K] of a and b, which are 0 where data.there is.
OUTERLOOP_REFERENCE_API Objectives ridge_objectives(const Tensor& u, const LabelledPairs& data, double ridge);

}  // namespace outerloop::rule::reference
