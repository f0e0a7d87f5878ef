#include "common/evaluation/baselines/kmeans.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "common/base/error.h"
#include "common/evaluation/baselines/distances.h"
#include "common/evaluation/baselines/eigen.h"

namespace outerloop::baselines {
namespace {

struct Assignment {
  std::vector<std::int64_t> centroid;  ///< of each row
  std::int64_t farthest = 0;           ///< the row farthest from its centroid
};

Assignment assign(const rule::Matrix& x, const rule::Matrix& centroids) {
  Assignment result;
  float largest = -1.0f;
  const auto distance = squared_distances(x, centroids);
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const float* row = distance.row(i);
    const float* nearest = std::min_element(row, row + distance.columns);
    result.centroid.push_back(nearest - row);
    if (*nearest > largest) {
      largest = *nearest;
      result.farthest = i;
    }
  }
  return result;
}

void move_centroids(const rule::Matrix& x, const Assignment& assignment, rule::Matrix& centroids) {
  Rows<double> sum = Rows<double>::Zero(centroids.rows, centroids.columns);
  std::vector<std::int64_t> count(static_cast<std::size_t>(centroids.rows));
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const auto k = assignment.centroid[static_cast<std::size_t>(i)];
    sum.row(k) += rows_of(x).row(i).cast<double>();
    ++count[static_cast<std::size_t>(k)];
  }
  Eigen::Map<Rows<float>> c(centroids.values.data(), centroids.rows, centroids.columns);
  bool reseeded = false;
  for (std::int64_t k = 0; k < centroids.rows; ++k) {
    const auto n = count[static_cast<std::size_t>(k)];
    if (n > 0) c.row(k) = (sum.row(k) / static_cast<double>(n)).cast<float>();
    // One at a time: two centroids on the same row would never separate.
    if (n == 0 && !reseeded) c.row(k) = rows_of(x).row(assignment.farthest);
    reseeded = reseeded || n == 0;
  }
}

}  // namespace

rule::Matrix contrast_normalised(const rule::Matrix& x) {
  constexpr float kFloor = 0.01f;
  Rows<float> rows = rows_of(x);
  for (Eigen::Index i = 0; i < rows.rows(); ++i) {
    auto row = rows.row(i).array();
    row -= row.mean();
    row /= std::sqrt(row.square().mean() + kFloor);
  }
  return matrix_of(rows);
}

KMeans::KMeans(const rule::Matrix& x, std::int64_t centroids, int iterations, const rule::Random& random)
    : centroids_(centroids, x.columns) {
  if (centroids < 1 || x.rows < centroids)
    throw Error("k-means: " + std::to_string(centroids) + " centroids of " + std::to_string(x.rows) +
                " examples; one centroid and as many examples at least");
  const auto chosen = random.sample(static_cast<std::int32_t>(x.rows), static_cast<std::int32_t>(centroids));
  for (std::int64_t k = 0; k < centroids; ++k)
    std::copy_n(x.row(chosen[static_cast<std::size_t>(k)]), x.columns, centroids_.row(k));
  std::vector<std::int64_t> before;
  for (int i = 0; i < iterations; ++i) {
    const auto assignment = assign(x, centroids_);
    // A centroid that was moved onto another one still has no rows, and will be moved again.
    const std::set<std::int64_t> used(assignment.centroid.begin(), assignment.centroid.end());
    if (assignment.centroid == before && static_cast<std::int64_t>(used.size()) == centroids) return;
    move_centroids(x, assignment, centroids_);
    before = assignment.centroid;
  }
}

rule::Matrix KMeans::features(const rule::Matrix& x) const {
  auto result = squared_distances(x, centroids_);
  Eigen::Map<Rows<float>> z(result.values.data(), result.rows, result.columns);
  for (Eigen::Index i = 0; i < z.rows(); ++i) {
    const Eigen::RowVectorXf distance = z.row(i).cwiseSqrt();
    z.row(i) = (distance.mean() - distance.array()).max(0.0f);
  }
  return result;
}

}  // namespace outerloop::baselines
