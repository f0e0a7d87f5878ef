// Read-outs on data with a known answer, and checks of their optimum.
#include <algorithm>
#include <cmath>

#include "common/base/error.h"
#include "common/evaluation/baselines/distances.h"
#include "common/evaluation/baselines/logistic.h"
#include "common/evaluation/baselines/readouts.h"
#include "common/rule/random.h"
#include "common/rule/readout.h"
#include "tests/catch.h"

using namespace outerloop;
using namespace outerloop::baselines;
using Labels = std::vector<std::int32_t>;

namespace {

struct Blobs {
  rule::Matrix x;
  Labels labels;
};

/// `classes` Gaussian blobs of deviation 0.3 at distance 3 · sqrt(2) from each other.
Blobs blobs(std::int64_t rows, std::int64_t columns, std::int32_t classes, std::uint32_t stream) {
  Blobs result{rule::Matrix(rows, columns), {}};
  const rule::Random random(3, stream, 0, rule::Purpose::test);
  std::uint32_t element = 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    const auto label = static_cast<std::int32_t>(i % classes);
    result.labels.push_back(label);
    for (std::int64_t j = 0; j < columns; ++j)
      result.x.row(i)[j] = static_cast<float>(0.3 * random.normal(element++) + (j == label ? 3.0 : 0.0));
  }
  return result;
}

rule::Matrix matrix(std::int64_t rows, std::vector<float> values) {
  rule::Matrix m(rows, static_cast<std::int64_t>(values.size()) / rows);
  m.values = std::move(values);
  return m;
}

/// Mean cross-entropy + strength/2 ‖w‖² of raw-feature weights [columns + 1, classes], w in the scaled
/// space whose features are divided by `deviation`.
double loss(const Blobs& data, const std::vector<double>& weights, std::int64_t classes, double deviation,
            double strength) {
  double sum = 0.0;
  const auto at = [&](std::int64_t j, std::int64_t c) {
    return weights[static_cast<std::size_t>(j * classes + c)];
  };
  for (std::int64_t i = 0; i < data.x.rows; ++i) {
    std::vector<double> score;
    for (std::int64_t c = 0; c < classes; ++c) {
      double s = at(data.x.columns, c);
      for (std::int64_t j = 0; j < data.x.columns; ++j) s += data.x.row(i)[j] * at(j, c);
      score.push_back(s);
    }
    double total = 0.0;
    for (const double s : score) total += std::exp(s);
    sum += std::log(total) - score[static_cast<std::size_t>(data.labels[static_cast<std::size_t>(i)])];
  }
  double squares = 0.0;
  for (std::int64_t j = 0; j < data.x.columns; ++j)
    for (std::int64_t c = 0; c < classes; ++c) squares += std::pow(at(j, c) * deviation, 2);
  return sum / static_cast<double>(data.x.rows) + 0.5 * strength * squares;
}

/// Root of the mean variance of the columns.
double common_deviation(const rule::Matrix& x) {
  double variance = 0.0;
  const auto n = static_cast<double>(x.rows);
  for (std::int64_t j = 0; j < x.columns; ++j) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < x.rows; ++i) sum += x.row(i)[j];
    for (std::int64_t i = 0; i < x.rows; ++i) variance += std::pow(x.row(i)[j] - sum / n, 2) / n;
  }
  return std::sqrt(variance / static_cast<double>(x.columns));
}

}  // namespace

TEST_CASE("every read-out separates blobs, with more and with fewer examples than features") {
  for (const std::int64_t columns : {3, 50}) {
    const auto train = blobs(30, columns, 3, 0), test = blobs(300, columns, 3, 1);
    for (const auto readout : all_readouts()) {
      INFO(readout_name(readout) << " with " << columns << " features");
      const auto found = accuracies(readout, {train.x, train.labels}, {test.x, test.labels}, 3);
      CHECK(found.size() == strengths(readout).size());
      CHECK(*std::max_element(found.begin(), found.end()) > 0.9);
      CHECK(readout_of_name(readout_name(readout)) == readout);
    }
  }
  CHECK_THROWS_AS(readout_of_name("knn4"), InputError);
}

TEST_CASE("the logistic read-out is where no weight can be moved to a lower loss") {
  for (const std::int64_t columns : {2, 12}) {  // feature space, and example space
    const std::int64_t classes = 3;
    const auto train = blobs(9, columns, 3, 2);
    const double deviation = common_deviation(train.x);
    const auto weights = LogisticClassifier(train.x, train.labels, classes, 0.05).weights();
    REQUIRE(static_cast<std::int64_t>(weights.size()) == (columns + 1) * classes);
    const double best = loss(train, weights, classes, deviation, 0.05);
    CHECK(best < std::log(3.0));
    for (std::size_t i = 0; i < weights.size(); ++i)
      for (const double change : {-1e-3, 1e-3}) {
        auto moved = weights;
        moved[i] += change;
        CHECK(loss(train, moved, classes, deviation, 0.05) > best - 1e-9);
      }
  }
}

TEST_CASE("logistic regression of two points agrees with its closed condition") {
  // One feature at ±1, two classes: by symmetry w_1 = −w_0 = w and 2 s w = 1 / (1 + exp(2 w)) · 2.
  const double strength = 0.3;
  const auto weights = LogisticClassifier(matrix(2, {-1, 1}), {0, 1}, 2, strength).weights();
  const double w = weights[1];
  CHECK(weights[0] == Approx(-w));
  CHECK(weights[3] == Approx(0.0).margin(1e-6));
  CHECK(strength * w == Approx(1.0 / (1.0 + std::exp(2.0 * w))).margin(1e-5));
}

TEST_CASE("a constant feature counts for nothing, bad input is refused") {
  const auto weights =
      LogisticClassifier(matrix(4, {5, -1, 5, -2, 5, 1, 5, 2}), {0, 0, 1, 1}, 2, 0.1).weights();
  CHECK(weights[0] == 0.0);
  CHECK(weights[3] > 0.1);
  CHECK_THROWS_AS(LogisticClassifier(matrix(2, {1, 2}), {0}, 2, 1.0), Error);
  CHECK_THROWS_AS(LogisticClassifier(matrix(2, {1, 2}), {0, 2}, 2, 1.0), Error);
  CHECK_THROWS_AS(LogisticClassifier(matrix(2, {1, 2}), {0, 1}, 2, 0.0), Error);
  CHECK_THROWS_AS(LogisticClassifier(matrix(2, {1, NAN}), {0, 1}, 2, 1.0), Error);
  CHECK_THROWS_AS(LogisticClassifier(matrix(2, {1, 2}), {0, 1}, 2, 1.0).predict(matrix(1, {1, 2})), Error);
}

TEST_CASE("distances, the nearest mean and the nearest neighbours by hand") {
  const auto distance = squared_distances(matrix(2, {0, 0, 3, 4}), matrix(3, {0, 0, 3, 0, 1, 1}));
  const std::vector<float> expected = {0, 9, 2, 25, 16, 13};
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(distance.values[i] == Approx(expected[i]));
  CHECK_THROWS_AS(squared_distances(matrix(1, {0, 0}), matrix(1, {0})), Error);

  // Class 1 has no example; class 2's mean is at 5.
  const auto train = matrix(4, {0, 1, 4, 6});
  CHECK(nearest_mean(train, {0, 0, 2, 2}, 3, matrix(3, {2, 3, 5})) == Labels{0, 2, 2});
  CHECK(nearest_neighbours(train, {0, 0, 2, 2}, 3, matrix(2, {0, 6}), 3) == Labels{0, 2});
  // One vote each: the nearest decides.
  CHECK(nearest_neighbours(train, {2, 0, 1, 1}, 3, matrix(1, {0.9f}), 2) == Labels{0});
  // More neighbours than examples.
  CHECK(nearest_neighbours(train, {0, 1, 1, 1}, 2, matrix(1, {0}), 5) == Labels{1});
  CHECK_THROWS_AS(nearest_mean(train, {0, 0, 3, 2}, 3, train), Error);
  CHECK_THROWS_AS(nearest_neighbours(train, {0, 0}, 3, train, 5), Error);
}
