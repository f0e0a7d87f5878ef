#pragma once
// Ridge classifier on features, and the parts common to all read-outs: scaling, linear predictions, accuracy.
#include <cstdint>
#include <vector>

#include "common/rule/base_model.h"

namespace outerloop::rule {

/// Scaling of features x [examples, features] before a read-out: each minus its mean, all times one common
/// factor, which makes the mean variance of the varying features one. Features keep their relative sizes:
/// dividing each by its own deviation would amplify pixels that are black in almost all of a few examples.
struct Scaling {
  explicit Scaling(const Matrix& x);

  std::vector<double> mean;   ///< [features]
  std::vector<double> scale;  ///< [features]: the common factor; 0 where all examples are equal
};

/// Ridge regression on scaled features with an unpenalised bias, one-hot targets, argmax as the prediction:
/// minimises mean ‖x w + bias - y‖² + lambda ‖w‖². Features that are constant in `train` have no effect.
/// Solved in float64 by Cholesky, in the smaller of feature and example space.
class RidgeClassifier {
 public:
  /// `train` [examples, features], `labels` 0 .. classes-1, lambda > 0. Throws Error where sizes, labels or
  /// lambda are out of range or a feature is not finite.
  RidgeClassifier(const Matrix& train, const std::vector<std::int32_t>& labels, std::int64_t classes,
                  double lambda);

  /// The class of every row of `test` [examples, features]. Throws Error where the number of features differs
  /// from the fitted one.
  std::vector<std::int32_t> predict(const Matrix& test) const;

 private:
  std::int64_t classes_;
  std::vector<double> weights_;  ///< [features + 1, classes], the bias last; acts on raw features
};

/// argmax over classes of x w + bias for every row x of `test` [examples, features]; `weights` is [features +
/// 1, classes] row-major, the bias last. Throws Error that names the read-out where the number of features of
/// `test` differs.
std::vector<std::int32_t> linear_predictions(const char* read_out, const std::vector<double>& weights,
                                             std::int64_t classes, const Matrix& test);

/// Accuracy: the fraction of equal entries.
double accuracy(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels);

}  // namespace outerloop::rule
