#pragma once
// The base model's forward pass on plain arrays: features for evaluation, `apply` and the baselines.
// (Engines have their own, differentiable one.)
#include <cstdint>
#include <memory>
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

/// Batch norm's mean and standard deviation of every normalised layer's pre-activation x^{l-1} W^l, frozen.
/// Every layer is normalised, except a supervised rule's last one, which is linear.
struct FrozenStatistics {
  std::vector<std::vector<double>> mean;                ///< [normalised layers][N_l]
  std::vector<std::vector<double>> standard_deviation;  ///< [normalised layers][N_l]: sqrt(variance + 1e-6)

  struct Tensor {
    std::vector<std::int64_t> shape;
    std::vector<double> values;  ///< row-major
  };
  std::vector<Tensor> tensors{};  ///< what a module's calibrate returned; the others are then empty
};

/// Statistics over all rows of `inputs` [examples, N_0], computed layer by layer with φ unchanged (each layer
/// sees the one below already frozen). Use at least 1,000 unlabelled training examples. Examples are
/// processed in chunks; sums are in double. Throws Error where sizes do not fit or there is no example.
FrozenStatistics frozen_statistics(const RuleOptions& rule, const Architecture& architecture,
                                   const std::vector<double>& phi, const Matrix& inputs);

/// The non-linearity of one number: leaky_relu has slope 0.2 below zero, elu alpha 1, swish is z sigmoid(z),
/// step is 1 above zero.
float activate(Nonlinearity kind, float z);

/// The same statistics for data that does not fit into memory: rows come in blocks, and every block is passed
/// once per layer. Several threads may call moments() at once; one thread joins the parts, in a fixed order.
class StatisticsBuilder {
 public:
  /// Moments of some rows, per unit of the current layer: mean, and sum of squared deviations.
  struct Moments {
    double count = 0.0;
    std::vector<double> mean, squares;
  };

  /// Throws Error where sizes do not fit. `rule` and `architecture` must outlive the builder.
  StatisticsBuilder(const RuleOptions& rule, const Architecture& architecture,
                    const std::vector<double>& phi);
  ~StatisticsBuilder();
  StatisticsBuilder(const StatisticsBuilder&) = delete;
  StatisticsBuilder& operator=(const StatisticsBuilder&) = delete;

  bool complete() const;      ///< all layers are finished
  std::int64_t part() const;  ///< most rows per call of moments(): their activations stay in the cache

  /// Moments of rows first .. first + count - 1 in the current layer. Throws Error where sizes do not fit.
  Moments moments(const Matrix& inputs, std::int64_t first, std::int64_t count) const;
  void join(const Moments& part);
  /// Continues with the next layer. Throws Error where there was no row.
  void finish_layer();

  const FrozenStatistics& statistics() const;  ///< of the finished layers

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The features of every row of `inputs` with the given statistics: x^L [examples, N_L]; for a supervised
/// rule x^{L-1} [examples, N_{L-1}], the layer below the class scores.
/// Throws Error where sizes do not fit.
Matrix features(const RuleOptions& rule, const Architecture& architecture, const std::vector<double>& phi,
                const FrozenStatistics& statistics, const Matrix& inputs);

}  // namespace outerloop::rule
