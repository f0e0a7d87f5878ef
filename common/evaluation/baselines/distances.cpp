#include "common/evaluation/baselines/distances.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "common/base/error.h"
#include "common/evaluation/baselines/eigen.h"

namespace outerloop::baselines {
namespace {

void check(const rule::Matrix& train, const std::vector<std::int32_t>& labels, std::int64_t classes) {
  if (train.rows < 1 || labels.size() != static_cast<std::size_t>(train.rows))
    throw Error("read-out by distance: " + std::to_string(train.rows) + " examples and " +
                std::to_string(labels.size()) + " labels; one label per example and one example at least");
  for (const auto label : labels)
    if (label < 0 || label >= classes)
      throw Error("read-out by distance: label " + std::to_string(label) + " is not in 0 .. " +
                  std::to_string(classes - 1));
}

}  // namespace

rule::Matrix squared_distances(const rule::Matrix& x, const rule::Matrix& centres) {
  if (x.columns != centres.columns)
    throw Error("distances: " + std::to_string(x.columns) + " features against " +
                std::to_string(centres.columns));
  rule::Matrix result(x.rows, centres.rows);
  const auto c = rows_of(centres);
  const Eigen::RowVectorXf norms = c.rowwise().squaredNorm().transpose();
  for_each_chunk(x.rows, [&](std::int64_t first, std::int64_t count) {
    const ConstRows chunk(x.row(first), count, x.columns);
    Eigen::Map<Rows<float>> d(result.row(first), count, centres.rows);
    d.noalias() = chunk * c.transpose();
    d = ((-2.0f * d).rowwise() + norms).colwise() + chunk.rowwise().squaredNorm();
    d = d.cwiseMax(0.0f);  // avoids negative values from rounding
  });
  return result;
}

std::vector<std::int32_t> nearest_mean(const rule::Matrix& train, const std::vector<std::int32_t>& labels,
                                       std::int64_t classes, const rule::Matrix& test) {
  check(train, labels, classes);
  std::vector<std::int64_t> count(static_cast<std::size_t>(classes));
  for (const auto label : labels) ++count[static_cast<std::size_t>(label)];
  std::vector<std::int32_t> present, place(static_cast<std::size_t>(classes));
  for (std::int64_t c = 0; c < classes; ++c) {
    place[static_cast<std::size_t>(c)] = static_cast<std::int32_t>(present.size());
    if (count[static_cast<std::size_t>(c)] > 0) present.push_back(static_cast<std::int32_t>(c));
  }
  Rows<float> mean = Rows<float>::Zero(static_cast<Eigen::Index>(present.size()), train.columns);
  for (std::int64_t i = 0; i < train.rows; ++i) {
    const auto label = static_cast<std::size_t>(labels[static_cast<std::size_t>(i)]);
    mean.row(place[label]) += rows_of(train).row(i) / static_cast<float>(count[label]);
  }
  const auto distance = squared_distances(test, matrix_of(mean));
  std::vector<std::int32_t> predicted;
  for (std::int64_t i = 0; i < distance.rows; ++i) {
    const float* row = distance.row(i);
    predicted.push_back(
        present[static_cast<std::size_t>(std::min_element(row, row + distance.columns) - row)]);
  }
  return predicted;
}

std::vector<std::int32_t> nearest_neighbours(const rule::Matrix& train,
                                             const std::vector<std::int32_t>& labels, std::int64_t classes,
                                             const rule::Matrix& test, std::int64_t neighbours) {
  check(train, labels, classes);
  if (neighbours < 1) throw Error("read-out by distance: " + std::to_string(neighbours) + " neighbours");
  const auto distance = squared_distances(test, train);
  const std::int64_t k = std::min(neighbours, train.rows);
  std::vector<std::int32_t> predicted, order(static_cast<std::size_t>(train.rows));
  for (std::int64_t i = 0; i < distance.rows; ++i) {
    const float* row = distance.row(i);
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + k, order.end(), [row](std::int32_t a, std::int32_t b) {
      return row[a] < row[b] || (row[a] == row[b] && a < b);
    });
    std::vector<int> votes(static_cast<std::size_t>(classes));
    for (std::int64_t n = 0; n < k; ++n)
      ++votes[static_cast<std::size_t>(labels[static_cast<std::size_t>(order[static_cast<std::size_t>(n)])])];
    const int most = *std::max_element(votes.begin(), votes.end());
    std::size_t n = 0;
    const auto label_of = [&](std::size_t place) { return labels[static_cast<std::size_t>(order[place])]; };
    while (votes[static_cast<std::size_t>(label_of(n))] < most) ++n;
    predicted.push_back(label_of(n));
  }
  return predicted;
}

}  // namespace outerloop::baselines
