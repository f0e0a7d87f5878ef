#pragma once
// First-layer filters and feature embeddings of a base model that a rule is training (the paper's Figure 6).
// Both use draw 0.
#include <cstdint>
#include <string>
#include <vector>

#include "common/evaluation/draw_pool.h"

namespace outerloop::evaluation {

/// W¹ after the given number of inner steps, unit by unit, with inputs unpermuted: [units][inputs].
struct Filters {
  std::int64_t step = 0;
  std::vector<std::vector<double>> units;
};
/// Filters after each of `steps` (ascending, from 0 on) of the learned rule; at most the first `units` units.
std::vector<Filters> first_layer_filters(const RuleUnderTest& rule, const FewShotData& data,
                                         const FewShotOptions& options,
                                         const std::vector<std::int64_t>& steps, std::int64_t units);

/// Test examples projected onto three principal components of the features.
struct Embedding {
  std::int64_t step = 0;
  rule::Matrix points;        ///< [examples, 3]; fewer columns where there are fewer features
  std::vector<double> share;  ///< of the variance, one per component
};
/// Embeddings after each of `steps`. Signs of components are aligned between successive steps as far as
/// possible.
std::vector<Embedding> embeddings(const RuleUnderTest& rule, const FewShotData& data,
                                  const FewShotOptions& options, const std::vector<std::int64_t>& steps);

/// Labels of the embedded test examples, in their order.
std::vector<std::int32_t> embedded_labels(const FewShotData& data, const FewShotOptions& options);

}  // namespace outerloop::evaluation
