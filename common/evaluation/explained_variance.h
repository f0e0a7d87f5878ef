#pragma once
// Explained variance of a representation by its number of principal components (the paper's Figure 6).
#include <string>
#include <vector>

#include "common/evaluation/draw_pool.h"
#include "common/evaluation/interval.h"

namespace outerloop::evaluation {

struct ExplainedVariance {
  std::string method;
  std::vector<Interval> cumulative;  ///< [components]: share of the variance that the first 1, 2, ... hold
};

/// Of the test examples' features by each of options.methods, over options.draws draws; features by methods
/// with something to choose are refused (Error). At most `components` components.
std::vector<ExplainedVariance> explained_variance(const RuleUnderTest& rule, const FewShotData& data,
                                                  const FewShotOptions& options, std::int64_t components,
                                                  const DrawProgress& progress);

}  // namespace outerloop::evaluation
