#pragma once
// k-means as a feature learner: Coates, Ng and Lee 2011, "An analysis of single-layer networks in
// unsupervised feature learning"; on whole images, since permuted inputs have no patches.
#include <cstdint>

#include "common/rule/base_model.h"
#include "common/rule/random.h"

namespace outerloop::baselines {

/// Each row minus its mean, divided by sqrt(its variance + 0.01) (contrast normalisation; images are in
/// [0, 1], and 0.01 prevents the amplification of nearly blank ones).
rule::Matrix contrast_normalised(const rule::Matrix& x);

class KMeans {
 public:
  /// Lloyd's algorithm from centroids drawn among the rows of `x` (elements 0 .. centroids-1 of `random`),
  /// until no row changes its centroid or `iterations` are done. A centroid without rows moves to the row
  /// that is farthest from its centroid. Throws Error where there are fewer rows than centroids.
  KMeans(const rule::Matrix& x, std::int64_t centroids, int iterations, const rule::Random& random);

  /// The triangle activation max(0, mean_j z_j − z_k), z_k the distance to centroid k: [x.rows, centroids].
  rule::Matrix features(const rule::Matrix& x) const;

  const rule::Matrix& centroids() const { return centroids_; }

 private:
  rule::Matrix centroids_;  ///< [centroids, columns]
};

}  // namespace outerloop::baselines
