#include "common/rule/kept_model.h"

#include <algorithm>
#include <string>

#include "common/base/error.h"
#include "common/rule/rules.h"

namespace outerloop::rule {
namespace {

std::vector<float> to_floats(const std::vector<double>& values, std::int64_t first, std::int64_t count) {
  return {values.begin() + first, values.begin() + first + count};
}

}  // namespace

RowFeatures::RowFeatures(const RuleOptions& rule, const Architecture& architecture,
                         const std::vector<double>& phi, const FrozenStatistics& statistics)
    : nonlinearity_(architecture.nonlinearity), widest_(architecture.inputs()) {
  OUTERLOOP_CHECK(!supervised(rule), "a rule without labels");
  const Layout layout = phi_layout(rule, architecture);
  OUTERLOOP_CHECK_EQ(static_cast<std::int64_t>(phi.size()), layout.size());
  OUTERLOOP_CHECK_EQ(static_cast<std::int64_t>(statistics.mean.size()), architecture.layers());
  OUTERLOOP_CHECK_EQ(static_cast<std::int64_t>(statistics.standard_deviation.size()), architecture.layers());
  for (std::int64_t l = 1; l <= architecture.layers(); ++l) {
    const auto& W = layout.at(std::to_string(l) + "/W");
    const auto& b = layout.at(std::to_string(l) + "/b");
    const auto& mean = statistics.mean[static_cast<std::size_t>(l - 1)];
    const auto& deviation = statistics.standard_deviation[static_cast<std::size_t>(l - 1)];
    OUTERLOOP_CHECK_EQ(static_cast<std::int64_t>(mean.size()), W.shape[1]);
    OUTERLOOP_CHECK_EQ(static_cast<std::int64_t>(deviation.size()), W.shape[1]);
    Layer layer{W.shape[0],
                W.shape[1],
                to_floats(phi, W.offset, W.size()),
                to_floats(phi, b.offset, b.size()),
                to_floats(mean, 0, W.shape[1]),
                {}};
    for (const double value : deviation) layer.scale.push_back(static_cast<float>(1.0 / value));
    widest_ = std::max(widest_, layer.units);
    layers_.push_back(std::move(layer));
  }
  outputs_ = layers_.back().units;
}

void RowFeatures::compute(const Matrix& inputs, std::int64_t first, std::int64_t last,
                          Matrix& features) const {
  OUTERLOOP_CHECK_EQ(inputs.columns, layers_.front().below);
  OUTERLOOP_CHECK_EQ(features.columns, outputs_);
  std::vector<float> x(static_cast<std::size_t>(widest_)), y(static_cast<std::size_t>(widest_));
  for (std::int64_t i = first; i < last; ++i) {
    std::copy_n(inputs.row(i), inputs.columns, x.data());
    for (const Layer& layer : layers_) {
      // Row by row, and over the inputs in their order: the summation order of a matrix product would depend
      // on the number of rows.
      std::fill_n(y.data(), layer.units, 0.0f);
      for (std::int64_t k = 0; k < layer.below; ++k) {
        const float value = x[static_cast<std::size_t>(k)];
        const float* weights = layer.W.data() + k * layer.units;
        for (std::int64_t j = 0; j < layer.units; ++j) y[static_cast<std::size_t>(j)] += value * weights[j];
      }
      for (std::size_t j = 0; j < static_cast<std::size_t>(layer.units); ++j)
        x[j] = activate(nonlinearity_, (y[j] - layer.mean[j]) * layer.scale[j] + layer.b[j]);
    }
    std::copy_n(x.data(), outputs_, features.row(i));
  }
}

}  // namespace outerloop::rule
