#pragma once
// Multinomial logistic regression on a few labelled examples.
#include <cstdint>
#include <vector>

#include "common/rule/base_model.h"

namespace outerloop::baselines {

/// Minimises mean cross-entropy + strength/2 ‖w‖² on scaled features (rule::Scaling), the bias unpenalised;
/// argmax is the prediction. Features that are constant in `train` have no effect. Solved by L-BFGS in
/// float64, in the smaller of feature and example space (the optimum is a linear combination of examples).
class LogisticClassifier {
 public:
  /// `train` [examples, features], `labels` 0 .. classes-1, strength > 0. Throws Error where sizes, labels or
  /// strength are out of range or a feature is not finite.
  LogisticClassifier(const rule::Matrix& train, const std::vector<std::int32_t>& labels, std::int64_t classes,
                     double strength);

  /// The class of every row of `test` [examples, features]. Throws Error where the number of features differs
  /// from the fitted one.
  std::vector<std::int32_t> predict(const rule::Matrix& test) const;

  /// [features + 1, classes] row-major, the bias last; acts on raw features.
  const std::vector<double>& weights() const { return weights_; }

 private:
  std::int64_t classes_;
  std::vector<double> weights_;
};

}  // namespace outerloop::baselines
