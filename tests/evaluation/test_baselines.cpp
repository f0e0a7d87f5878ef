// Baselines without a network on data with a known answer.
#include <Eigen/SVD>
#include <cmath>
#include <set>

#include "common/base/error.h"
#include "common/evaluation/baselines/kmeans.h"
#include "common/evaluation/baselines/pca.h"
#include "tests/catch.h"

using namespace outerloop;
using namespace outerloop::baselines;

namespace {

/// Normal numbers; column j has the deviation 1 / (1 + j), and all columns have a common component.
rule::Matrix correlated(std::int64_t rows, std::int64_t columns) {
  rule::Matrix x(rows, columns);
  const rule::Random random(7, 0, 0, rule::Purpose::test);
  std::uint32_t element = 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    const double common = random.normal(element++);
    for (std::int64_t j = 0; j < columns; ++j)
      x.row(i)[j] =
          static_cast<float>(2.0 + 0.3 * common + random.normal(element++) / static_cast<double>(1 + j));
  }
  return x;
}

}  // namespace

TEST_CASE("principal components are the singular vectors of centred data") {
  const auto x = correlated(5000, 7);  // more than a chunk
  const Pca pca(x, 4);
  REQUIRE(pca.components() == 4);
  Eigen::MatrixXd centred(x.rows, x.columns);
  for (std::int64_t i = 0; i < x.rows; ++i)
    for (std::int64_t j = 0; j < x.columns; ++j) centred(i, j) = x.row(i)[j];
  const Eigen::RowVectorXd mean = centred.colwise().mean();
  centred.rowwise() -= mean;
  const Eigen::BDCSVD<Eigen::MatrixXd> svd(centred, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const auto projected = pca.project(x), white = pca.whiten(x, 0.5);
  for (Eigen::Index c = 0; c < 4; ++c) {
    const double variance = std::pow(svd.singularValues()[c], 2) / static_cast<double>(x.rows);
    CHECK(pca.variance()[static_cast<std::size_t>(c)] == Approx(variance).epsilon(1e-4));
    Eigen::VectorXd direction = svd.matrixV().col(c);
    Eigen::Index largest = 0;
    direction.cwiseAbs().maxCoeff(&largest);
    if (direction[largest] < 0) direction = -direction;
    const Eigen::VectorXd expected = centred * direction;
    double error = 0.0, white_error = 0.0;
    for (std::int64_t i = 0; i < x.rows; ++i) {
      error = std::max(error, std::abs(projected.row(i)[c] - expected[i]));
      white_error =
          std::max(white_error, std::abs(white.row(i)[c] - expected[i] / std::sqrt(variance + 0.5)));
    }
    CHECK(error < 1e-3);
    CHECK(white_error < 1e-3);
  }
  CHECK(pca.total_variance() == Approx(centred.squaredNorm() / static_cast<double>(x.rows)).epsilon(1e-5));
}

TEST_CASE("principal components do not mind a permutation of the inputs, and refuse what they cannot use") {
  const auto x = correlated(200, 5);
  rule::Matrix permuted(x.rows, x.columns);
  for (std::int64_t i = 0; i < x.rows; ++i)
    for (std::int64_t j = 0; j < x.columns; ++j) permuted.row(i)[j] = x.row(i)[(3 * j + 1) % 5];
  const auto a = Pca(x, 3).project(x), b = Pca(permuted, 3).project(permuted);
  for (std::size_t i = 0; i < a.values.size(); ++i) CHECK(a.values[i] == Approx(b.values[i]).margin(1e-4));
  CHECK(Pca(x, 32).components() == 5);
  CHECK_THROWS_AS(Pca(x, 0), Error);
  CHECK_THROWS_AS(Pca(rule::Matrix(0, 5), 2), Error);
  CHECK_THROWS_AS(Pca(x, 2).project(rule::Matrix(1, 4)), Error);
  auto broken = x;
  broken.values[3] = NAN;
  CHECK_THROWS_AS(Pca(broken, 2), Error);
}

TEST_CASE("k-means finds blobs, and its triangle features are those of Coates and Ng") {
  rule::Matrix x(60, 2);
  const rule::Random random(1, 0, 0, rule::Purpose::test);
  const float centre[3][2] = {{0, 0}, {10, 0}, {0, 10}};
  for (std::int64_t i = 0; i < x.rows; ++i)
    for (int j = 0; j < 2; ++j)
      x.row(i)[j] =
          centre[i % 3][j] + static_cast<float>(0.1 * random.normal(static_cast<std::uint32_t>(2 * i + j)));
  // The best of several starts: Lloyd's algorithm may start with two centroids in one blob.
  const auto spread = [&](const KMeans& kmeans) {
    std::set<std::pair<int, int>> found;
    for (std::int64_t k = 0; k < 3; ++k)
      found.insert({static_cast<int>(std::lround(kmeans.centroids().row(k)[0])),
                    static_cast<int>(std::lround(kmeans.centroids().row(k)[1]))});
    return found == std::set<std::pair<int, int>>{{0, 0}, {10, 0}, {0, 10}};
  };
  int successes = 0;
  for (std::uint32_t start = 0; start < 10; ++start)
    successes += spread(KMeans(x, 3, 50, {9, start, 0, rule::Purpose::test}));
  CHECK(successes >= 1);

  const KMeans kmeans(x, 4, 5, random);
  rule::Matrix point(1, 2);
  point.values = {3, 1};
  std::vector<double> z;
  for (std::int64_t k = 0; k < 4; ++k)
    z.push_back(std::hypot(3 - kmeans.centroids().row(k)[0], 1 - kmeans.centroids().row(k)[1]));
  const double mean = (z[0] + z[1] + z[2] + z[3]) / 4;
  const auto features = kmeans.features(point);
  for (std::size_t k = 0; k < 4; ++k)
    CHECK(features.values[k] == Approx(std::max(0.0, mean - z[k])).margin(1e-4));
  CHECK_THROWS_AS(KMeans(x, 61, 5, random), Error);
}

TEST_CASE("k-means of as many different points as centroids puts one on each") {
  rule::Matrix x(8, 1);
  x.values = {0, 0, 0, 0, 1, 2, 3, 4};  // starts among the equal ones leave centroids without rows
  const KMeans kmeans(x, 5, 50, {2, 0, 0, rule::Purpose::test});
  std::set<float> found(kmeans.centroids().values.begin(), kmeans.centroids().values.end());
  CHECK(found == std::set<float>{0, 1, 2, 3, 4});
}

TEST_CASE("contrast normalisation takes out brightness, and contrast where there is one") {
  rule::Matrix x(3, 4);
  x.values = {0, 1, 0, 1, 10, 20, 10, 20, 0.5f, 0.5f, 0.5f, 0.5f};
  const auto y = contrast_normalised(x);
  CHECK(y.row(0)[1] == Approx(0.5 / std::sqrt(0.25 + 0.01)));
  CHECK(y.row(1)[0] == Approx(-5.0 / std::sqrt(25.01)));
  for (int j = 0; j < 4; ++j) CHECK(y.row(2)[j] == 0.0f);
}
