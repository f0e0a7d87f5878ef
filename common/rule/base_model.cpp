#include "common/rule/base_model.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "common/rule/rules.h"

namespace outerloop::rule {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstRows = Eigen::Map<const RowMajor>;

constexpr double kEpsilon = 1e-6;                ///< of BN0
constexpr std::int64_t kChunkNumbers = 1 << 20;  ///< activations per chunk and layer: a few MiB

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Number of layers that end in batch norm and the non-linearity: all, except a supervised rule's linear
/// output.
std::int64_t normalised_layers(const RuleOptions& rule, const Architecture& architecture) {
  return supervised(rule) ? architecture.layers() - 1 : architecture.layers();
}

/// W^l and b^l in float32.
struct Layer {
  RowMajor W;
  Eigen::RowVectorXf b;
};

std::vector<Layer> read_layers(const RuleOptions& rule, const Architecture& architecture,
                               const std::vector<double>& phi) {
  const Layout layout = phi_layout(rule, architecture);
  if (phi.size() != index(layout.size()))
    throw Error("base model " + architecture.description() + ": φ has " + std::to_string(phi.size()) +
                " numbers, but its layout has " + std::to_string(layout.size()));
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

void check_inputs(const Architecture& architecture, const Matrix& inputs) {
  if (inputs.columns != architecture.inputs() || inputs.values.size() != index(inputs.rows * inputs.columns))
    throw Error("base model " + architecture.description() + ": examples of " +
                std::to_string(inputs.columns) + " inputs, expected " +
                std::to_string(architecture.inputs()));
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
    // Subtract before scaling: otherwise near-constant units would lose precision.
    y.col(j) = ((y.col(j).array() - shift) * scale + layer.b[j]).unaryExpr([kind](float z) {
      return activate(kind, z);
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

}  // namespace

float activate(Nonlinearity kind, float z) {
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

struct StatisticsBuilder::State {
  Architecture architecture;
  std::vector<Layer> layers;
  FrozenStatistics statistics;
  Moments joined;  // of the current layer

  std::size_t depth() const { return statistics.mean.size(); }
};

StatisticsBuilder::StatisticsBuilder(const RuleOptions& rule, const Architecture& architecture,
                                     const std::vector<double>& phi)
    : state_(std::make_unique<State>()) {
  state_->architecture = architecture;
  state_->layers = read_layers(rule, architecture, phi);
}

StatisticsBuilder::~StatisticsBuilder() = default;

bool StatisticsBuilder::complete() const { return state_->depth() == state_->layers.size(); }
std::int64_t StatisticsBuilder::part() const { return chunk_rows(state_->architecture); }
const FrozenStatistics& StatisticsBuilder::statistics() const { return state_->statistics; }

StatisticsBuilder::Moments StatisticsBuilder::moments(const Matrix& inputs, std::int64_t first,
                                                      std::int64_t count) const {
  check_inputs(state_->architecture, inputs);
  const std::size_t l = state_->depth();
  const RowMajor chunk = activation(state_->layers, l, state_->statistics, inputs, first, count,
                                    state_->architecture.nonlinearity) *
                         state_->layers[l].W;
  const Eigen::MatrixXd values = chunk.cast<double>();
  const Eigen::RowVectorXd mean = values.colwise().mean();
  const Eigen::RowVectorXd squares = (values.rowwise() - mean).colwise().squaredNorm();
  return {static_cast<double>(count),
          {mean.data(), mean.data() + mean.size()},
          {squares.data(), squares.data() + squares.size()}};
}

/// Chan, Golub and LeVeque 1979.
void StatisticsBuilder::join(const Moments& part) {
  Moments& joined = state_->joined;
  joined.mean.resize(part.mean.size());
  joined.squares.resize(part.mean.size());
  const double n = part.count, count = joined.count;
  for (std::size_t j = 0; j < part.mean.size(); ++j) {
    const double shift = part.mean[j] - joined.mean[j];
    joined.squares[j] += part.squares[j] + shift * shift * (count * n / (count + n));
    joined.mean[j] += shift * (n / (count + n));
  }
  joined.count += n;
}

void StatisticsBuilder::finish_layer() {
  Moments& joined = state_->joined;
  if (joined.count < 1) throw Error("base model: batch statistics of no examples");
  std::vector<double> deviation;
  for (const double squares : joined.squares)
    deviation.push_back(std::sqrt(squares / joined.count + kEpsilon));
  state_->statistics.mean.push_back(std::move(joined.mean));
  state_->statistics.standard_deviation.push_back(std::move(deviation));
  joined = {};
}

FrozenStatistics frozen_statistics(const RuleOptions& rule, const Architecture& architecture,
                                   const std::vector<double>& phi, const Matrix& inputs) {
  StatisticsBuilder builder(rule, architecture, phi);
  check_inputs(architecture, inputs);
  const std::int64_t rows = builder.part();
  while (!builder.complete()) {
    for (std::int64_t first = 0; first < inputs.rows; first += rows)
      builder.join(builder.moments(inputs, first, std::min(rows, inputs.rows - first)));
    builder.finish_layer();
  }
  return builder.statistics();
}

Matrix features(const RuleOptions& rule, const Architecture& architecture, const std::vector<double>& phi,
                const FrozenStatistics& statistics, const Matrix& inputs) {
  const auto layers = read_layers(rule, architecture, phi);
  check_inputs(architecture, inputs);
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
