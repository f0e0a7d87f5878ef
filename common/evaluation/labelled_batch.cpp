#include "common/evaluation/labelled_batch.h"

#include <algorithm>

namespace outerloop::evaluation {

void append(const rule::Batch& batch, rule::Matrix& to) {
  to.columns = batch.inputs;
  to.rows += batch.examples;
  for (const double value : batch.x) to.values.push_back(static_cast<float>(value));
}

rule::Matrix matrix_of(const rule::Batch& batch) {
  rule::Matrix matrix;
  append(batch, matrix);
  return matrix;
}

std::vector<std::int32_t> labels_of(const rule::Batch& batch, std::int64_t classes) {
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < batch.examples; ++i) {
    const auto row = batch.y.begin() + i * batch.targets;
    labels.push_back(static_cast<std::int32_t>(std::max_element(row, row + classes) - row));
  }
  return labels;
}

}  // namespace outerloop::evaluation
