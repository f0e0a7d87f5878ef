#pragma once
// First-layer filters and feature embeddings of a base model that a rule is training (the paper's Figure 6).
// Both are of draw 0.
#include <cstdint>
#include <string>
#include <vector>

#include "common/evaluation/draw_pool.h"

namespace outerloop::evaluation {

/// W¹ after so many inner steps, unit by unit, inputs in their own order: [units][inputs].
struct Filters {
  std::int64_t step = 0;
  std::vector<std::vector<double>> units;
};
/// After each of `steps` (rising, from 0 on) of the learned rule; the first `units` units at most.
std::vector<Filters> first_layer_filters(const RuleUnderTest& rule, const FewShotData& data,
                                         const FewShotOptions& options,
                                         const std::vector<std::int64_t>& steps, std::int64_t units);

/// Test examples in three principal components of the features.
struct Embedding {
  std::int64_t step = 0;
  rule::Matrix points;        ///< [examples, 3]; fewer columns where there are fewer features
  std::vector<double> share;  ///< of the variance, one a component
};
/// Likewise. Components keep their sign from one step to the next as well as they can.
std::vector<Embedding> embeddings(const RuleUnderTest& rule, const FewShotData& data,
                                  const FewShotOptions& options, const std::vector<std::int64_t>& steps);

/// Labels of the test examples that embeddings show, in their order.
std::vector<std::int32_t> embedded_labels(const FewShotData& data, const FewShotOptions& options);

}  // namespace outerloop::evaluation
