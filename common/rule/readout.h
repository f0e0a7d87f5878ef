#pragma once
// Read-outs: how a few labelled examples turn features into a classifier.
#include <cstdint>
#include <vector>

#include "common/rule/base_model.h"

namespace outerloop::rule {

/// Ridge regression on standardised features with an unpenalised bias, one-hot targets, argmax as the prediction.
/// Solved in float64 by Cholesky, in the smaller of feature and example space.
class RidgeClassifier {
 public:
  /// `train` [examples, features], `labels` 0 .. classes-1, lambda > 0 per example.
  RidgeClassifier(const Matrix& train, const std::vector<std::int32_t>& labels, std::int64_t classes, double lambda);

  std::vector<std::int32_t> predict(const Matrix& test) const;

 private:
  std::int64_t classes_;
  std::vector<double> weights_;  ///< [features + 1, classes], the bias last; acts on raw features
};

/// Fraction of equal entries.
double accuracy(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels);

}  // namespace outerloop::rule
