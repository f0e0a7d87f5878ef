#include <algorithm>
#include <cmath>
#include <limits>

#include "common/base/error.h"
#include "common/rule/random.h"
#include "common/rule/readout.h"
#include "tests/catch.h"

namespace outerloop::tests {
namespace {

using Labels = std::vector<std::int32_t>;
using rule::Matrix;
using rule::RidgeClassifier;
using Table = std::vector<std::vector<double>>;

Matrix column(const std::vector<float>& values) {
  Matrix m(static_cast<std::int64_t>(values.size()), 1);
  m.values = values;
  return m;
}

Matrix random_matrix(std::int64_t rows, std::int64_t columns, std::uint32_t task) {
  const rule::Random random(3, 0, task, rule::Purpose::test);
  Matrix m(rows, columns);
  for (std::size_t i = 0; i < m.values.size(); ++i) {
    // Columns of very different scale and offset.
    const auto j = static_cast<double>(static_cast<std::int64_t>(i) % columns);
    m.values[i] = static_cast<float>(10 * j + (1 + j) * random.normal(static_cast<std::uint32_t>(i)));
  }
  return m;
}

/// Solves a x = b by Gauss-Jordan elimination with partial pivoting.
Table solve(Table a, Table b) {
  const std::size_t n = a.size();
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k; i < n; ++i)
      if (std::abs(a[i][k]) > std::abs(a[pivot][k])) pivot = i;
    std::swap(a[k], a[pivot]);
    std::swap(b[k], b[pivot]);
    for (std::size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double f = a[i][k] / a[k][k];
      for (std::size_t j = 0; j < n; ++j) a[i][j] -= f * a[k][j];
      for (std::size_t j = 0; j < b[i].size(); ++j) b[i][j] -= f * b[k][j];
    }
  }
  for (std::size_t k = 0; k < n; ++k)
    for (auto& value : b[k]) value /= a[k][k];
  return b;
}

/// The same classifier by the plain normal equations of [scaled features, 1], the bias unpenalised.
Labels plain_ridge(const Matrix& train, const Labels& labels, std::int64_t classes, double lambda,
                   const Matrix& test) {
  const auto d = static_cast<std::size_t>(train.columns);
  const auto n = static_cast<double>(train.rows);
  std::vector<double> mean(d);
  double variance = 0.0;
  for (std::size_t j = 0; j < d; ++j) {
    for (std::int64_t i = 0; i < train.rows; ++i) mean[j] += train.row(i)[j] / n;
    for (std::int64_t i = 0; i < train.rows; ++i)
      variance += std::pow(train.row(i)[j] - mean[j], 2) / n / static_cast<double>(d);
  }
  const auto example = [&](const Matrix& m, std::int64_t i) {
    std::vector<double> x(d + 1, 1.0);
    for (std::size_t j = 0; j < d; ++j) x[j] = (m.row(i)[j] - mean[j]) / std::sqrt(variance);
    return x;
  };
  Table gram(d + 1, std::vector<double>(d + 1)),
      right(d + 1, std::vector<double>(static_cast<std::size_t>(classes)));
  for (std::int64_t i = 0; i < train.rows; ++i) {
    const auto x = example(train, i);
    for (std::size_t p = 0; p <= d; ++p) {
      for (std::size_t q = 0; q <= d; ++q) gram[p][q] += x[p] * x[q];
      right[p][static_cast<std::size_t>(labels[static_cast<std::size_t>(i)])] += x[p];
    }
  }
  for (std::size_t p = 0; p < d; ++p) gram[p][p] += lambda * n;
  const auto w = solve(gram, right);
  Labels result;
  for (std::int64_t i = 0; i < test.rows; ++i) {
    const auto x = example(test, i);
    std::vector<double> score(static_cast<std::size_t>(classes));
    for (std::size_t c = 0; c < score.size(); ++c)
      for (std::size_t p = 0; p <= d; ++p) score[c] += x[p] * w[p][c];
    result.push_back(static_cast<std::int32_t>(std::max_element(score.begin(), score.end()) - score.begin()));
  }
  return result;
}

}  // namespace

TEST_CASE("ridge with one feature decides where the closed form says") {
  // x = 0, 0, 0, 4: mean 1, deviation sqrt(3). Standardised: -1/√3 three times, √3 once. Class 1 is the last
  // example. slope of class 1 = (Σ x (y - 1/4)) / (n (1 + λ)) = (√3/4) / (1 + λ); class 0 has its negative;
  // biases 1/4 and 3/4. They meet at x = (1/4) / slope = (1 + λ) / √3, which is 1 + √3 (1 + λ) / √3 = 2 + λ
  // on the raw axis.
  for (const double lambda : {0.01, 0.5, 1.5}) {
    const RidgeClassifier ridge(column({0, 0, 0, 4}), {0, 0, 0, 1}, 2, lambda);
    const auto edge = static_cast<float>(2 + lambda);
    CHECK(ridge.predict(column({edge - 1e-3f, edge + 1e-3f, -100, 100})) == Labels{0, 1, 0, 1});
  }
}

TEST_CASE("ridge agrees with the plain normal equations, tall and wide") {
  for (const std::int64_t columns : {std::int64_t{1}, std::int64_t{7}, std::int64_t{30}, std::int64_t{60}}) {
    const auto train = random_matrix(30, columns, 1), test = random_matrix(200, columns, 2);
    Labels labels;
    for (std::int32_t i = 0; i < 30; ++i) labels.push_back((i * i + 1) % 4);
    for (const double lambda : {1e-2, 1.0}) {
      INFO(columns << " columns, lambda " << lambda);
      CHECK(RidgeClassifier(train, labels, 4, lambda).predict(test) ==
            plain_ridge(train, labels, 4, lambda, test));
    }
  }
}

TEST_CASE("constant columns count for nothing, whatever they are later") {
  Matrix train(4, 2), test(2, 2);
  train.values = {0, 0.1f, 1, 0.1f, 5, 0.1f, 6, 0.1f};
  test.values = {0.5f, 1e6f, 5.5f, -1e6f};
  CHECK(RidgeClassifier(train, {0, 0, 1, 1}, 2, 0.1).predict(test) == Labels{0, 1});
  // All features constant: predicts the most frequent class.
  train.values.assign(8, 3.0f);
  CHECK(RidgeClassifier(train, {0, 1, 1, 1}, 2, 0.1).predict(test) == Labels{1, 1});
}

TEST_CASE("features are centred and scaled by one number, whatever their units") {
  // Deviations 1 and 7, and a constant: the mean variance of the two is 25.
  Matrix x(2, 3);
  x.values = {1, 10, 0.1f, 3, 24, 0.1f};
  const rule::Scaling scaling(x);
  CHECK(scaling.mean[0] == Approx(2));
  CHECK(scaling.mean[1] == Approx(17));
  CHECK(scaling.scale[0] == Approx(0.2));
  CHECK(scaling.scale[1] == Approx(0.2));
  CHECK(scaling.scale[2] == 0.0);
  // A common change of units of all features has no effect.
  const auto train = random_matrix(30, 7, 1), test = random_matrix(200, 7, 2);
  auto train_large = train, test_large = test;
  for (auto& value : train_large.values) value *= 1024;
  for (auto& value : test_large.values) value *= 1024;
  Labels labels;
  for (std::int32_t i = 0; i < 30; ++i) labels.push_back(i % 3);
  CHECK(RidgeClassifier(train, labels, 3, 0.1).predict(test) ==
        RidgeClassifier(train_large, labels, 3, 0.1).predict(test_large));
}

TEST_CASE("a ridge classifier refuses what it cannot fit") {
  const auto x = column({1, 2, 3});
  CHECK_THROWS_AS(RidgeClassifier(x, {0, 1}, 2, 0.1), Error);
  CHECK_THROWS_AS(RidgeClassifier(x, {0, 1, 2}, 2, 0.1), Error);
  CHECK_THROWS_AS(RidgeClassifier(x, {0, 1, -1}, 2, 0.1), Error);
  CHECK_THROWS_AS(RidgeClassifier(x, {0, 1, 1}, 2, 0.0), Error);
  CHECK_THROWS_AS(RidgeClassifier(x, {0, 1, 1}, 2, std::nan("")), Error);
  CHECK_THROWS_AS(RidgeClassifier(column({1, 2, std::numeric_limits<float>::infinity()}), {0, 1, 1}, 2, 0.1),
                  Error);
  CHECK_THROWS_AS(RidgeClassifier(Matrix(0, 3), {}, 2, 0.1), Error);
  CHECK_THROWS_AS(RidgeClassifier(x, {0, 1, 1}, 2, 0.1).predict(Matrix(2, 2)), Error);
  CHECK(RidgeClassifier(x, {0, 1, 1}, 2, 0.1).predict(Matrix(0, 1)).empty());
}

TEST_CASE("accuracy is the fraction of equal entries") {
  CHECK(rule::accuracy({1, 2, 3, 4}, {1, 0, 3, 0}) == 0.5);
  CHECK(rule::accuracy({1}, {1}) == 1.0);
  CHECK_THROWS_AS(rule::accuracy({1, 2}, {1}), Error);
  CHECK_THROWS_AS(rule::accuracy({}, {}), Error);
}

}  // namespace outerloop::tests
