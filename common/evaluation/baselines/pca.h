#pragma once
// Principal component analysis (PCA): projection, whitening, variance by component.
#include <cstdint>
#include <vector>

#include "common/rule/base_model.h"

namespace outerloop::baselines {

/// The leading eigenvectors of the examples' covariance (biased). A permutation of the columns permutes the
/// eigenvectors' entries and leaves the projections unchanged.
class Pca {
 public:
  /// `x` [examples, columns]; `components` is limited to the number of columns. Throws Error where there is
  /// no example, no component, or a number that is not finite.
  Pca(const rule::Matrix& x, std::int64_t components);

  std::int64_t components() const { return static_cast<std::int64_t>(variance_.size()); }

  /// (x − mean) · eigenvectors, [examples, components]; signs are chosen so that each eigenvector's largest
  /// entry is positive. With `whiten`, component i is divided by sqrt(variance_i + epsilon).
  /// Throws Error where columns differ.
  rule::Matrix project(const rule::Matrix& x) const { return project_scaled(x, false, 0.0); }
  rule::Matrix whiten(const rule::Matrix& x, double epsilon) const {
    return project_scaled(x, true, epsilon);
  }

  /// Variance along each component, descending, and the total variance of all columns.
  const std::vector<double>& variance() const { return variance_; }
  double total_variance() const { return total_variance_; }

 private:
  rule::Matrix project_scaled(const rule::Matrix& x, bool whiten, double epsilon) const;

  std::vector<float> mean_;       ///< [columns]
  rule::Matrix directions_;       ///< [components, columns]: eigenvectors
  std::vector<double> variance_;  ///< [components]
  double total_variance_ = 0.0;
};

}  // namespace outerloop::baselines
