#pragma once
// Conversions between rule::Matrix and Eigen's matrices. Included by this folder's .cpp files only.
#include <Eigen/Core>
#include <algorithm>
#include <cstdint>

#include "common/rule/base_model.h"

namespace outerloop::baselines {

template <typename Real>
using Rows = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstRows = Eigen::Map<const Rows<float>>;

inline ConstRows rows_of(const rule::Matrix& m) { return ConstRows(m.values.data(), m.rows, m.columns); }

inline rule::Matrix matrix_of(const Rows<float>& m) {
  rule::Matrix result(m.rows(), m.cols());
  std::copy_n(m.data(), m.size(), result.values.data());
  return result;
}

/// Rows per chunk for computations on many examples: a few MiB.
constexpr std::int64_t kChunkRows = 2048;

/// Calls f(first, count) for chunks of `rows` rows.
template <typename F>
void for_each_chunk(std::int64_t rows, const F& f) {
  for (std::int64_t first = 0; first < rows; first += kChunkRows)
    f(first, std::min(kChunkRows, rows - first));
}

}  // namespace outerloop::baselines
