#include "common/store/model_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>

#include "common/base/error.h"
#include "common/rule/rules.h"
#include "common/store/files.h"
#include "common/store/rule_file.h"

namespace outerloop::store {
namespace {

constexpr const char* kInputs = "/scaling/numbers";

std::string statistics_group(std::size_t layer) { return "/statistics/" + std::to_string(layer + 1) + "/"; }

Dataset column(const std::vector<double>& values, const char* axis) {
  return Dataset::float64(values, 0, {static_cast<std::int64_t>(values.size())}).with_axes(axis);
}

/// [columns, numbers of each], or [numbers] of all columns together.
Dataset scaling_dataset(const rule::InputScaling& scaling) {
  const auto count = static_cast<std::int64_t>(scaling.numbers.size());
  const bool one = scaling.kind == "linear" || scaling.kind == "none" || scaling.kind == "array";
  std::vector<std::int64_t> shape = {count};
  if (!one && scaling.columns > 0) shape = {scaling.columns, count / scaling.columns};
  auto dataset = Dataset::float64(scaling.numbers, 0, shape);
  dataset.attributes["kind"] = scaling.kind;
  dataset.attributes["columns"] = scaling.columns;
  return dataset;
}

bool all_finite(const std::vector<double>& values) {
  for (const double value : values)
    if (!std::isfinite(value)) return false;
  return true;
}

std::uint64_t seed_of(const DocumentReader& reader) {
  const std::string& text = reader.text_attribute(reader.root(), "/", "seed");
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc() || end != text.data() + text.size())
    reader.refuse("its seed is no whole number of 64 bits");
  return seed;
}

/// The numbers of a group's datasets in the order of their attribute position.
std::vector<double> decode_ordered(const DocumentReader& reader, const std::vector<std::string>& paths) {
  std::map<std::int64_t, std::string> ordered;
  for (const auto& path : paths)
    ordered[reader.integer_attribute(reader.dataset(path).attributes, path, "position")] = path;
  if (ordered.size() != paths.size()) reader.refuse("two tensors have one position");
  std::vector<double> values;
  for (const auto& entry : ordered) {
    const auto part = reader.numbers(entry.second);
    values.insert(values.end(), part.begin(), part.end());
  }
  if (!all_finite(values)) reader.refuse("holds numbers that are not finite");
  return values;
}

/// φ, θ and statistics of a module, whose layouts it knows alone.
void decode_module_state(const DocumentReader& reader, rule::KeptModel& model) {
  std::vector<std::string> phi, theta;
  for (const auto& layer : reader.links("/phi/"))
    for (const auto& key : reader.links("/phi/" + layer + "/")) phi.push_back("/phi/" + layer + "/" + key);
  for (const auto& link : reader.links("/theta/")) theta.push_back("/theta/" + link);
  model.phi = decode_ordered(reader, phi);
  model.theta = decode_ordered(reader, theta);
  const std::size_t count = reader.links("/statistics/").size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::string path = "/statistics/" + std::to_string(i + 1);
    model.statistics.tensors.push_back({reader.dataset(path).shape, reader.numbers(path)});
  }
}

void decode_scaling(const DocumentReader& reader, rule::KeptModel& model) {
  const auto& scaling = reader.dataset(kInputs);
  model.scaling.kind = reader.text_attribute(scaling.attributes, kInputs, "kind");
  model.scaling.columns = reader.integer_attribute(scaling.attributes, kInputs, "columns");
  model.scaling.numbers = reader.numbers(kInputs);
  if (model.scaling.columns != model.architecture.inputs())
    reader.refuse(std::string(kInputs) + ": of another number of columns than the model has inputs");
}

/// The file's own tensors of φ by name, in the rule's layout.
rule::KeptModel decode(const DocumentReader& reader) {
  rule::KeptModel model;
  model.rule.name = reader.text_attribute(reader.root(), "/", "rule");
  model.rule.script = decode_module(reader, model.rule.name);
  const auto& kinds = rule::rule_kinds();
  if (std::none_of(kinds.begin(), kinds.end(), [&](const rule::RuleKind& kind) {
        return model.rule.name == kind.name && !kind.supervised;
      }))
    reader.refuse("of a rule that this program does not have, or whose features it does not compute");
  model.architecture.units = reader.integers("/units");
  for (const auto units : model.architecture.units)
    if (units < 1 || units > 1000000) reader.refuse("/units: " + std::to_string(units) + " units of a layer");
  if (model.architecture.units.size() < 2) reader.refuse("/units: fewer than two layers");
  decode_scaling(reader, model);
  if (model.rule.script) {
    decode_module_state(reader, model);
    return model;
  }
  const auto layout = rule::phi_layout(model.rule, model.architecture);
  for (const auto& tensor : layout.tensors()) {
    const auto& dataset = reader.dataset("/phi/" + tensor.name);
    if (dataset.shape != tensor.shape) reader.refuse("/phi/" + tensor.name + " has another shape");
    const auto values = reader.numbers("/phi/" + tensor.name);
    model.phi.insert(model.phi.end(), values.begin(), values.end());
  }
  if (!all_finite(model.phi)) reader.refuse("/phi holds numbers that are not finite");
  for (std::size_t l = 0; l + 1 < model.architecture.units.size(); ++l) {
    auto mean = reader.numbers(statistics_group(l) + "mean");
    auto scale = reader.numbers(statistics_group(l) + "scale");
    const auto units = static_cast<std::size_t>(model.architecture.units[l + 1]);
    bool right = mean.size() == units && scale.size() == units && all_finite(mean) && all_finite(scale);
    for (const double value : scale) right = right && value > 0.0;
    if (!right) reader.refuse(statistics_group(l) + ": not a mean and a scale above 0 of each unit");
    model.statistics.mean.push_back(std::move(mean));
    model.statistics.standard_deviation.push_back(std::move(scale));
  }
  return model;
}

void encode_module_state(const rule::KeptModel& model, Document& document) {
  std::int64_t position = 0;
  for (const auto& tensor : model.rule.script->theta.tensors()) {
    auto dataset = Dataset::float32(model.theta, tensor.offset, tensor.shape);
    dataset.attributes["position"] = position++;
    document.datasets["/theta/" + link_name(tensor.name)] = std::move(dataset);
  }
  position = 0;
  const auto layout = rule::phi_layout(model.rule, model.architecture);
  for (const auto& tensor : layout.tensors())
    document.datasets["/phi/" + tensor.name].attributes["position"] = position++;
  for (std::size_t i = 0; i < model.statistics.tensors.size(); ++i) {
    const auto& tensor = model.statistics.tensors[i];
    document.datasets["/statistics/" + std::to_string(i + 1)] =
        Dataset::float64(tensor.values, 0, tensor.shape);
  }
  encode_module(model.rule.script, document);
}

}  // namespace

void write_model(const std::string& path, const ModelFile& file) {
  const auto& model = file.model;
  Document document;
  const auto layout = rule::phi_layout(model.rule, model.architecture);
  for (const auto& tensor : layout.tensors())
    document.datasets["/phi/" + tensor.name] =
        Dataset::float32(model.phi, tensor.offset, tensor.shape).with_axes(tensor.axes);
  for (std::size_t l = 0; l < model.statistics.mean.size(); ++l) {
    document.datasets[statistics_group(l) + "mean"] = column(model.statistics.mean[l], "unit");
    document.datasets[statistics_group(l) + "scale"] = column(model.statistics.standard_deviation[l], "unit");
  }
  if (model.rule.script) encode_module_state(model, document);
  document.datasets[kInputs] = scaling_dataset(model.scaling);
  document.datasets["/units"] = Dataset::integers(model.architecture.units);
  document.datasets["/config"] = Dataset::text(file.config);
  if (!file.table.empty()) document.datasets["/table"] = Dataset::text(file.table);
  auto& root = document.attributes;
  root["format"] = std::string("outerloop");
  root["format_version"] = std::int64_t{kFormatVersion};
  root["created"] = file.created;
  root["git_revision"] = file.git_revision;
  root["update"] = file.update;
  root["rule"] = model.rule.name;
  root["theta"] = file.theta;
  root["theta_sha256"] = file.theta_sha256;
  root["examples"] = file.examples;
  root["inner_steps"] = file.inner_steps;
  root["minibatch"] = file.minibatch;
  root["seed"] = std::to_string(file.seed);
  write_document(path, Kind::model, document);
}

ModelFile read_model(const std::string& path) {
  const auto opened = open_document(path);
  const DocumentReader reader(opened.document, path);
  if (opened.kind != Kind::model)
    reader.refuse(std::string("is a ") + kind_name(opened.kind) +
                  ", no model: apply RULE --save-model writes one");
  const auto& root = reader.root();
  ModelFile file;
  file.model = decode(reader);
  file.theta = reader.text_attribute(root, "/", "theta");
  file.theta_sha256 = reader.text_attribute(root, "/", "theta_sha256");
  file.update = reader.integer_attribute(root, "/", "update");
  file.config = reader.text("/config");
  if (reader.contains("/table")) file.table = reader.text("/table");
  file.examples = reader.integer_attribute(root, "/", "examples");
  file.inner_steps = reader.integer_attribute(root, "/", "inner_steps");
  file.minibatch = reader.integer_attribute(root, "/", "minibatch");
  file.seed = seed_of(reader);
  file.created = reader.text_attribute(root, "/", "created");
  file.git_revision = reader.text_attribute(root, "/", "git_revision");
  return file;
}

}  // namespace outerloop::store
