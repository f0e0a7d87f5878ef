#include "tests/rule/golden_file.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <stdexcept>

#include "tests/rule_options.h"

namespace outerloop::tests {
namespace {

/// All tensors of a layout, from the datasets of one group.
std::vector<double> read_tensors(const Hdf5File& file, const std::string& group, const rule::Layout& layout) {
  std::vector<double> values;
  for (const auto& tensor : layout.tensors()) {
    const auto dataset = file.read(group + "/" + tensor.name);
    if (dataset.values.size() != static_cast<std::size_t>(tensor.size()))
      throw std::runtime_error(group + "/" + tensor.name + ": " + std::to_string(dataset.values.size()) +
                               " numbers, expected " + std::to_string(tensor.size()));
    values.insert(values.end(), dataset.values.begin(), dataset.values.end());
  }
  return values;
}

/// A labelled minibatch; its regression targets follow the classes as further columns.
rule::Batch read_labelled(const Hdf5File& file, const std::string& which) {
  const auto x = file.read("input/x_" + which), y = file.read("input/y_" + which);
  Hdf5Dataset r;
  if (file.contains("input/r_" + which)) r = file.read("input/r_" + which);
  const std::int64_t extra = r.shape.size() == 2 ? r.shape[1] : 0;
  rule::Batch batch;
  batch.examples = x.shape.at(0);
  batch.inputs = x.shape.at(1);
  batch.targets = y.shape.at(1) + extra;
  batch.x = x.values;
  for (std::int64_t i = 0; i < batch.examples; ++i) {
    const auto classes = y.values.begin() + i * y.shape[1];
    batch.y.insert(batch.y.end(), classes, classes + y.shape[1]);
    const auto regression = r.values.begin() + i * extra;
    batch.y.insert(batch.y.end(), regression, regression + extra);
  }
  return batch;
}

}  // namespace

std::vector<std::string> golden_paths() {
  const char* chosen = std::getenv("OUTERLOOP_GOLDEN_DIR");
  const std::string folder = chosen && *chosen ? chosen : OUTERLOOP_GOLDEN_SOURCE_DIR;
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".h5") paths.push_back(entry.path().string());
  if (paths.empty()) throw std::runtime_error("no golden files (*.h5) in " + folder);
  std::sort(paths.begin(), paths.end());
  return paths;
}

GoldenCase read_golden(const Hdf5File& file) {
  const auto number = [&](const char* name) { return file.attribute("config", name).at(0); };
  const auto integer = [&](const char* name) { return static_cast<std::int64_t>(number(name)); };
  GoldenCase golden;
  golden.rule = paper_rule();
  auto& size = golden.rule.neuron_local;
  size.hidden_channels = integer("hidden_channels");
  size.top_channels = integer("top_channels");
  size.delta_channels = integer("delta_channels");
  size.readout_channels = integer("readout_channels");
  size.hidden_blocks = integer("hidden_blocks");
  size.top_layers = integer("top_layers");
  size.inner_step_size = number("inner_step_size");
  size.ridge = number("ridge");
  if (file.has_attribute("config", "separate_backward_readouts"))
    size.separate_backward_readouts = number("separate_backward_readouts") != 0;
  for (const double units : file.attribute("config", "units"))
    golden.architecture.units.push_back(static_cast<std::int64_t>(units));
  size.output_units = golden.architecture.outputs();
  golden.theta = read_tensors(file, "theta", rule::theta_layout(golden.rule));
  golden.phi = read_tensors(file, "phi", rule::phi_layout(golden.rule, golden.architecture));

  const auto x = file.read("input/x");
  const std::int64_t numbers = x.shape.at(1) * x.shape.at(2);
  rule::StepData step;
  step.a = read_labelled(file, "a");
  step.b = read_labelled(file, "b");
  for (std::int64_t t = 0; t < x.shape[0]; ++t) {
    const auto first = x.values.begin() + t * numbers;
    step.inner = {x.shape[1], x.shape[2], 0, {first, first + numbers}, {}};
    golden.steps.push_back(step);
  }
  return golden;
}

double largest(const std::vector<double>& values) {
  double result = 0.0;
  for (const double v : values) result = std::max(result, std::abs(v));
  return result;
}

double relative_error(const std::vector<double>& ours, const Hdf5Dataset& golden, double scale) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (golden.values.empty()) return kInfinity;
  std::size_t row = 1;
  for (std::size_t axis = 1; axis < golden.shape.size(); ++axis)
    row *= static_cast<std::size_t>(golden.shape[axis]);
  const std::size_t rows = golden.values.size() / row,
                    stride = static_cast<std::size_t>(golden.example_stride);
  const std::size_t our_rows = ours.size() / row;
  if (ours.size() % row != 0 || (our_rows + stride - 1) / stride != rows) return kInfinity;
  double worst = 0.0;
  for (std::size_t i = 0; i < golden.values.size(); ++i) {
    const double difference = std::abs(ours[i / row * stride * row + i % row] - golden.values[i]);
    if (!(difference <= worst)) worst = std::isfinite(difference) ? difference : kInfinity;
  }
  if (scale == 0.0) scale = largest(golden.values);
  return worst / (scale > 0.0 ? scale : 1.0);
}

}  // namespace outerloop::tests
