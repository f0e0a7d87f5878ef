#pragma once
// Features of a user's own examples, by a base model that a learned rule has trained on them without labels.
#include <cstdint>
#include <string>
#include <vector>

#include "common/data/array.h"
#include "common/data/request.h"
#include "common/rule/base_model.h"
#include "common/rule/engine.h"

namespace outerloop::evaluation {

// The inputs of base models, [examples, all other axes], of a user's array with two axes at least. Each
// throws InputError, beginning with `name`, for a value that is not finite, with its row and column.

/// Vectors as a dataset of them would be (data/scaling.h), in 256 levels from 0 to 1; fitted to all of them.
rule::Matrix scaled_vectors(data::Array x, data::ScalingKind kind, const std::string& name);

/// From the smallest to the largest value of all, to 0..1: images. All 0 where all are equal.
rule::Matrix scaled_images(const data::Array& x, const std::string& name);

/// Bytes stand for 0 to 1; other numbers are as they are, float32.
rule::Matrix unscaled_inputs(const data::Array& x, const std::string& name);

struct ApplyOptions {
  std::vector<std::int64_t> hidden;  ///< units of the hidden layers; the rule fixes the outputs
  std::int64_t inner_steps = 0;      ///< at least 1
  std::int64_t minibatch = 0;        ///< rows of an inner step, at least 1
  std::uint64_t seed = 0;            ///< of the initialisation and the minibatches
};

/// Features [examples, outputs] of `x` [examples, inputs], by a base model that the rule has trained on
/// random minibatches of `x`; batch norm's statistics are those of all examples. Throws Error where the base
/// model does not stay finite, and InputError for options out of range.
rule::Matrix apply_rule(rule::Engine& engine, const std::vector<double>& theta, const rule::Matrix& x,
                        const ApplyOptions& options);

}  // namespace outerloop::evaluation
