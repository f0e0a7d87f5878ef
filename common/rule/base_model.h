#pragma once
// The base model's forward pass on plain arrays: features for evaluation, `apply` and the baselines.
// (Engines have their own, differentiable one.)
#include <cstdint>
#include <vector>

#include "common/rule/phi.h"

namespace outerloop::rule {

/// Row-major [rows, columns] of float.
struct Matrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<float> values;

  Matrix() = default;
  Matrix(std::int64_t r, std::int64_t c) : rows(r), columns(c), values(static_cast<std::size_t>(r * c)) {}
  float* row(std::int64_t i) { return values.data() + i * columns; }
  const float* row(std::int64_t i) const { return values.data() + i * columns; }
};

/// Batch norm's mean and standard deviation of every layer's pre-activation x^{l-1} W^l, frozen.
struct FrozenStatistics {
  std::vector<std::vector<double>> mean;                ///< [L][N_l]
  std::vector<std::vector<double>> standard_deviation;  ///< [L][N_l]: sqrt(variance + 1e-6)
};

/// Statistics over all rows of `inputs` [examples, N_0], layer by layer from φ as it is (each layer sees the one
/// below already frozen). Use at least 1,000 unlabelled training examples.
FrozenStatistics frozen_statistics(const RuleOptions& rule, const Architecture& architecture,
                                   const std::vector<double>& phi, const Matrix& inputs);

/// x^L of every row of `inputs` with the given statistics: [examples, N_L].
Matrix features(const RuleOptions& rule, const Architecture& architecture, const std::vector<double>& phi,
                const FrozenStatistics& statistics, const Matrix& inputs);

}  // namespace outerloop::rule
