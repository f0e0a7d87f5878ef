#pragma once
// Explained variance of a representation by its number of principal components (the paper's Figure 6).
#include <string>
#include <vector>

#include "common/evaluation/draw_pool.h"
#include "common/evaluation/interval.h"

namespace outerloop::evaluation {

struct ExplainedVariance {
  std::string method;
  std::vector<Interval> cumulative;  ///< [components]: share of the variance in the first 1, 2, ...
};

/// Explained variance of the test examples' features for each of options.methods, over options.draws draws,
/// with at most `components` components. Throws Error for methods with hyper-parameters to select.
std::vector<ExplainedVariance> explained_variance(const RuleUnderTest& rule, const FewShotData& data,
                                                  const FewShotOptions& options, std::int64_t components,
                                                  const DrawProgress& progress);

}  // namespace outerloop::evaluation
