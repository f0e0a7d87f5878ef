#pragma once
// How many principal components hold the variance of a representation (the paper's Figure 6).
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
std::vector<ExplainedVariance> explained_variance(const EngineFactory& make_engine,
                                                  const std::vector<double>& theta,
                                                  const std::vector<double>& untrained,
                                                  const FewShotData& data, const FewShotOptions& options,
                                                  std::int64_t components, const DrawProgress& progress);

}  // namespace outerloop::evaluation
