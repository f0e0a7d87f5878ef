#include "common/evaluation/explained_variance.h"

#include "common/base/error.h"
#include "common/evaluation/baselines/pca.h"

namespace outerloop::evaluation {
namespace {

std::vector<double> cumulative(const rule::Matrix& features, std::int64_t components) {
  const baselines::Pca pca(features, components);
  std::vector<double> result;
  double sum = 0.0;
  for (const double variance : pca.variance()) {
    sum += variance;
    result.push_back(pca.total_variance() > 0.0 ? sum / pca.total_variance() : 0.0);
  }
  return result;
}

}  // namespace

std::vector<ExplainedVariance> explained_variance(const RuleUnderTest& rule, const FewShotData& data,
                                                  const FewShotOptions& options, std::int64_t components,
                                                  const DrawProgress& progress) {
  DrawPool pool(rule, data, options, options.draws, progress);
  const auto& methods = pool.methods().methods();
  for (const auto& method : methods)
    OUTERLOOP_CHECK(method.settings.size() == 1, "explained variance: " + method.name + " needs a choice");
  std::vector<std::vector<std::vector<double>>> by_draw(static_cast<std::size_t>(options.draws));
  pool.for_each_block(0, options.draws, [&](const MethodSet& set, const std::vector<Draw>& draws) {
    for (const auto& method : set.methods())
      method.features(draws, {0}, [&](std::size_t d, const std::vector<DrawFeatures>& features) {
        by_draw[draws[d].number].push_back(cumulative(features.front().test, components));
      });
  });
  std::vector<ExplainedVariance> result;
  for (std::size_t m = 0; m < methods.size(); ++m) {
    result.push_back({methods[m].name, {}});
    for (std::size_t k = 0; k < by_draw.front()[m].size(); ++k) {
      std::vector<double> values;
      for (const auto& draw : by_draw) values.push_back(draw[m][k]);
      result.back().cumulative.push_back(interval(values));
    }
  }
  return result;
}

}  // namespace outerloop::evaluation
