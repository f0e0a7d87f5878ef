#include "common/rule/base_model.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <string>

#include "common/base/error.h"
#include "common/rule/rules.h"

namespace outerloop::rule {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstRows = Eigen::Map<const RowMajor>;

constexpr double kEpsilon = 1e-6;                ///< of BN0
constexpr std::int64_t kChunkNumbers = 1 << 20;  ///< activations per chunk and layer: a few MiB

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Layers that end in batch norm and the non-linearity: all of them, but for a supervised rule's linear
/// output.
std::int64_t normalised_layers(const RuleOptions& rule, const Architecture& architecture) {
  return rule_kind(rule.name).supervised ? architecture.layers() - 1 : architecture.layers();
}

float apply(Nonlinearity kind, float z) {
  switch (kind) {
    case Nonlinearity::relu:
      return z > 0 ? z : 0;
    case Nonlinearity::leaky_relu:
      return z > 0 ? z : 0.2f * z;
    case Nonlinearity::swish:
      return z / (1 + std::exp(-z));
    case Nonlinearity::elu:
      return z > 0 ? z : std::expm1(z);
    case Nonlinearity::tanh:
      return std::tanh(z);
    case Nonlinearity::step:
      return z > 0 ? 1 : 0;
  }
  throw Error("base model: unknown non-linearity number " + std::to_string(static_cast<int>(kind)));
}

/// W^l and b^l in float32.
struct Layer {
  RowMajor W;
  Eigen::RowVectorXf b;
};

std::vector<Layer> read_layers(const RuleOptions& rule, const Architecture& architecture,
                               const std::vector<double>& phi, const Matrix& inputs) {
  const Layout layout = phi_layout(rule, architecture);
  if (phi.size() != index(layout.size()))
    throw Error("base model " + architecture.description() + ": φ has " + std::to_string(phi.size()) +
                " numbers, but its layout has " + std::to_string(layout.size()));
  if (inputs.columns != architecture.inputs() || inputs.values.size() != index(inputs.rows * inputs.columns))
    throw Error("base model " + architecture.description() + ": examples of " +
                std::to_string(inputs.columns) + " inputs, expected " +
                std::to_string(architecture.inputs()));
  std::vector<Layer> layers;
  for (std::int64_t l = 1; l <= normalised_layers(rule, architecture); ++l) {
    const auto& W = layout.at(std::to_string(l) + "/W");
    const auto& b = layout.at(std::to_string(l) + "/b");
    Layer layer{RowMajor(W.shape[0], W.shape[1]), Eigen::RowVectorXf(b.shape[0])};
    std::transform(phi.begin() + W.offset, phi.begin() + W.offset + W.size(), layer.W.data(),
                   [](double value) { return static_cast<float>(value); });
    std::transform(phi.begin() + b.offset, phi.begin() + b.offset + b.size(), layer.b.data(),
                   [](double value) { return static_cast<float>(value); });
    layers.push_back(std::move(layer));
  }
  return layers;
}

std::int64_t chunk_rows(const Architecture& architecture) {
  const auto widest = *std::max_element(architecture.units.begin(), architecture.units.end());
  return std::clamp<std::int64_t>(kChunkNumbers / widest, 16, 4096);
}

/// x^l of a chunk from its x^{l-1}.
RowMajor next_activation(const RowMajor& x, const Layer& layer, const std::vector<double>& mean,
                         const std::vector<double>& deviation, Nonlinearity kind) {
  RowMajor y = x * layer.W;
  for (Eigen::Index j = 0; j < y.cols(); ++j) {
    const auto scale = static_cast<float>(1.0 / deviation[index(j)]);
    const auto shift = static_cast<float>(mean[index(j)]);
    // Subtracted before it is scaled: near-constant units would lose their digits otherwise.
    y.col(j) = ((y.col(j).array() - shift) * scale + layer.b[j]).unaryExpr([kind](float z) {
      return apply(kind, z);
    });
  }
  return y;
}

/// x^depth of rows first .. first + count - 1.
RowMajor activation(const std::vector<Layer>& layers, std::size_t depth, const FrozenStatistics& statistics,
                    const Matrix& inputs, std::int64_t first, std::int64_t count, Nonlinearity kind) {
  RowMajor x = ConstRows(inputs.row(first), count, inputs.columns);
  for (std::size_t l = 0; l < depth; ++l)
    x = next_activation(x, layers[l], statistics.mean[l], statistics.standard_deviation[l], kind);
  return x;
}

/// Mean and sum of squared deviations of columns, joined chunk by chunk (Chan, Golub and LeVeque 1979).
struct Moments {
  double count = 0;
  Eigen::RowVectorXd mean, squares;

  explicit Moments(Eigen::Index columns)
      : mean(Eigen::RowVectorXd::Zero(columns)), squares(Eigen::RowVectorXd::Zero(columns)) {}

  void add(const RowMajor& chunk) {
    const Eigen::MatrixXd values = chunk.cast<double>();
    const auto n = static_cast<double>(values.rows());
    const Eigen::RowVectorXd own = values.colwise().mean();
    const Eigen::RowVectorXd shift = own - mean;
    squares += (values.rowwise() - own).colwise().squaredNorm() +
               (shift.array().square() * (count * n / (count + n))).matrix();
    mean += shift * (n / (count + n));
    count += n;
  }
};

}  // namespace

FrozenStatistics frozen_statistics(const RuleOptions& rule, const Architecture& architecture,
                                   const std::vector<double>& phi, const Matrix& inputs) {
  const auto layers = read_layers(rule, architecture, phi, inputs);
  if (inputs.rows < 1) throw Error("base model: batch statistics of no examples");
  const std::int64_t rows = chunk_rows(architecture);
  FrozenStatistics statistics;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    Moments moments(layers[l].W.cols());
    for (std::int64_t first = 0; first < inputs.rows; first += rows) {
      const std::int64_t count = std::min(rows, inputs.rows - first);
      moments.add(activation(layers, l, statistics, inputs, first, count, architecture.nonlinearity) *
                  layers[l].W);
    }
    const Eigen::RowVectorXd deviation = (moments.squares.array() / moments.count + kEpsilon).sqrt();
    statistics.mean.emplace_back(moments.mean.data(), moments.mean.data() + moments.mean.size());
    statistics.standard_deviation.emplace_back(deviation.data(), deviation.data() + deviation.size());
  }
  return statistics;
}

Matrix features(const RuleOptions& rule, const Architecture& architecture, const std::vector<double>& phi,
                const FrozenStatistics& statistics, const Matrix& inputs) {
  const auto layers = read_layers(rule, architecture, phi, inputs);
  if (statistics.mean.size() != layers.size() || statistics.standard_deviation.size() != layers.size())
    throw Error("base model " + architecture.description() + ": batch statistics of " +
                std::to_string(statistics.mean.size()) + " layers, expected " +
                std::to_string(layers.size()));
  for (std::size_t l = 0; l < layers.size(); ++l)
    if (statistics.mean[l].size() != index(layers[l].b.size()) ||
        statistics.standard_deviation[l].size() != index(layers[l].b.size()))
      throw Error("base model " + architecture.description() + ": batch statistics of layer " +
                  std::to_string(l + 1) + " are not one per unit");
  const std::int64_t rows = chunk_rows(architecture);
  Matrix result(inputs.rows, layers.empty() ? inputs.columns : layers.back().W.cols());
  for (std::int64_t first = 0; first < inputs.rows; first += rows) {
    const std::int64_t count = std::min(rows, inputs.rows - first);
    const auto x =
        activation(layers, layers.size(), statistics, inputs, first, count, architecture.nonlinearity);
    std::copy_n(x.data(), x.size(), result.row(first));
  }
  return result;
}

}  // namespace outerloop::rule
