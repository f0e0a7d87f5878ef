#pragma once
// Features of a user's own examples, by a base model that a learned rule has trained on them without labels.
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

/// A base model that the rule has trained on random minibatches of `x` [examples, inputs]. Throws as
/// apply_rule().
TrainedBaseModel train_base_model(rule::Engine& engine, const std::vector<double>& theta, rule::Matrix x,
                                  const ApplyOptions& options);

/// Features [examples, outputs] of `x` [examples, inputs], by a base model that the rule has trained on
/// random minibatches of `x`; batch norm's statistics are those of all examples. Throws Error where the base
/// model does not stay finite, and InputError for options out of range.
rule::Matrix apply_rule(rule::Engine& engine, const std::vector<double>& theta, const rule::Matrix& x,
                        const ApplyOptions& options);

}  // namespace outerloop::evaluation
