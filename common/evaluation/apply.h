#pragma once
// Features of a user's own examples, computed by a base model that a learned rule trains on them without
// labels.
#include <cstdint>
#include <string>
#include <vector>

#include "common/rule/base_model.h"
#include "common/rule/engine.h"

namespace outerloop::evaluation {

struct ApplyOptions {
  std::vector<std::int64_t> hidden;  ///< units of the hidden layers; the rule fixes the outputs
  std::int64_t inner_steps = 0;      ///< at least 1
  std::int64_t minibatch = 0;        ///< rows of an inner step, at least 1
  std::uint64_t seed = 0;            ///< of the initialisation and the minibatches
};

struct TrainedBaseModel {
  rule::Architecture architecture;
  std::vector<double> phi;
};

/// A base model, trained by the rule on random minibatches of `x` [examples, inputs]. Throws what
/// apply_rule() throws.
TrainedBaseModel train_base_model(rule::Engine& engine, const std::vector<double>& theta, rule::Matrix x,
                                  const ApplyOptions& options);

/// Features [examples, outputs] of `x` [examples, inputs], by a base model that the rule trains on random
/// minibatches of `x`; batch norm uses the statistics of all examples. Throws Error where the base model does
/// not stay finite, and InputError for options out of range.
rule::Matrix apply_rule(rule::Engine& engine, const std::vector<double>& theta, const rule::Matrix& x,
                        const ApplyOptions& options);

}  // namespace outerloop::evaluation
