#pragma once
// Read-outs: how a few labelled examples turn features into a classifier.
#include <cstdint>
#include <vector>

#include "common/rule/base_model.h"

namespace outerloop::rule {

/// Ridge regression on standardised features with an unpenalised bias, one-hot targets, argmax as the
/// prediction: minimises mean ‖x w + bias - y‖² + lambda ‖w‖². Columns that are constant in `train` count for
/// nothing. Solved in float64 by Cholesky, in the smaller of feature and example space.
class RidgeClassifier {
 public:
  /// `train` [examples, features], `labels` 0 .. classes-1, lambda > 0. Throws Error where sizes, labels or
  /// lambda are out of range or a feature is not finite.
  RidgeClassifier(const Matrix& train, const std::vector<std::int32_t>& labels, std::int64_t classes,
                  double lambda);

  /// The class of every row of `test` [examples, features]. Throws Error where the features are not as many
  /// as fitted.
  std::vector<std::int32_t> predict(const Matrix& test) const;

 private:
  std::int64_t classes_;
  std::vector<double> weights_;  ///< [features + 1, classes], the bias last; acts on raw features
};

/// Fraction of equal entries.
double accuracy(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels);

}  // namespace outerloop::rule
