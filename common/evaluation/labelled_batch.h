#pragma once
// Labelled minibatches of tasks as matrices and labels.
#include <cstdint>
#include <vector>

#include "common/rule/base_model.h"
#include "common/rule/engine.h"

namespace outerloop::evaluation {

void append(const rule::Batch& batch, rule::Matrix& to);
rule::Matrix matrix_of(const rule::Batch& batch);

/// Labels of rows whose first `classes` targets are one-hot.
std::vector<std::int32_t> labels_of(const rule::Batch& batch, std::int64_t classes);

}  // namespace outerloop::evaluation
