#include "common/store/rule_file.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/store/atomic_file.h"
#include "common/store/hdf5.h"
#include "common/store/isolated_hdf5.h"
#include "common/store/sealed_file.h"

namespace outerloop::store {
namespace {

using rule::Initializer;
using rule::Layout;
using rule::TensorSpec;

constexpr const char* kTheta = "/theta/";
constexpr const char* kAverage = "/theta_average/";
constexpr const char* kModule = "/module";
constexpr const char* kScripted = "torchscript";
constexpr const char* kTruncatedNormal = "truncated_normal";

void check_size(const char* what, std::size_t size, const Layout& layout) {
  if (static_cast<std::int64_t>(size) != layout.size())
    throw Error(std::string(what) + " has " + std::to_string(size) + " values, its layout " +
                std::to_string(layout.size()) + ": it cannot be stored");
}

void add_dataset(Document& document, const std::string& path, Dataset dataset) {
  if (!document.datasets.emplace(path, std::move(dataset)).second)
    throw Error(path + " exists twice: names must differ");
}

/// Stores position and initialisation, so that every field of the layout can be read back.
Attributes attributes_of(const TensorSpec& tensor, std::int64_t position) {
  return {{"axes", tensor.axes},
          {"initializer", tensor.initializer.description()},
          {"initializer_value", tensor.initializer.value},
          {"zero_gradient", std::int64_t{tensor.zero_gradient}},
          {"position", position}};
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

TensorSpec decode_spec(const DocumentReader& reader, const std::string& link) {
  const std::string path = kTheta + link;
  const Dataset& dataset = reader.dataset(path);
  if (dataset.type != ElementType::float32) reader.refuse(path + " is not float32");
  const bool empty =
      std::any_of(dataset.shape.begin(), dataset.shape.end(), [](auto extent) { return extent < 1; });
  if (empty) reader.refuse(path + " has shape " + shape_text(dataset.shape));
  const auto& attributes = dataset.attributes;
  const auto& initializer = reader.text_attribute(attributes, path, "initializer");
  const double value = reader.real_attribute(attributes, path, "initializer_value");
  TensorSpec spec;
  spec.name = name_of_link(link);
  spec.shape = dataset.shape;
  spec.axes = reader.text_attribute(attributes, path, "axes");
  spec.initializer = initializer.rfind(kTruncatedNormal, 0) == 0 ? Initializer::truncated_normal(value)
                                                                 : Initializer::constant(value);
  spec.zero_gradient = reader.integer_attribute(attributes, path, "zero_gradient") != 0;
  spec.offset = reader.integer_attribute(attributes, path, "position");
  return spec;
}

/// Tensors in the order of their `position`, which must be 0, 1, 2, ...
Layout decode_layout(const DocumentReader& reader) {
  std::vector<TensorSpec> specs;
  for (const auto& link : reader.links(kTheta)) specs.push_back(decode_spec(reader, link));
  if (specs.empty()) reader.refuse("/theta is empty");
  std::sort(specs.begin(), specs.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  for (std::size_t i = 0; i < specs.size(); ++i)
    if (specs[i].offset != static_cast<std::int64_t>(i))
      reader.refuse("/theta: the parameter of position " + std::to_string(i) +
                    " is missing, or one is there twice");
  return Layout(std::move(specs));
}

Kind kind_of(const DocumentReader& reader) {
  const auto& name = reader.text_attribute(reader.root(), "/", "kind");
  for (const auto kind : {Kind::theta, Kind::checkpoint, Kind::evaluation, Kind::model})
    if (name == kind_name(kind)) return kind;
  reader.refuse("kind \"" + name + "\" is not theta, checkpoint, evaluation or model");
}

}  // namespace

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::theta:
      return "theta";
    case Kind::checkpoint:
      return "checkpoint";
    case Kind::evaluation:
      return "evaluation";
    case Kind::model:
      return "model";
  }
  return "unknown";
}

std::string theta_sha256(const Layout& layout, const std::vector<double>& theta) {
  check_size("θ", theta.size(), layout);
  std::vector<const TensorSpec*> order;
  for (const auto& tensor : layout.tensors()) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  base::Sha256 hash;
  for (const auto* tensor : order) {
    const auto dataset = Dataset::float32(theta, tensor->offset, tensor->shape);
    hash.update(dataset.bytes.data(), dataset.bytes.size());
  }
  return base::hex(hash.finish());
}

std::string encode_rule(const RuleFile& file, Document& document) {
  check_size("θ", file.theta.size(), file.layout);
  if (!file.theta_average.empty()) check_size("θ's average", file.theta_average.size(), file.layout);
  std::int64_t position = 0;
  for (const auto& tensor : file.layout.tensors()) {
    const std::string link = link_name(tensor.name);
    auto dataset = Dataset::float32(file.theta, tensor.offset, tensor.shape);
    dataset.attributes = attributes_of(tensor, position++);
    add_dataset(document, kTheta + link, std::move(dataset));
    if (!file.theta_average.empty())
      add_dataset(document, kAverage + link,
                  Dataset::float32(file.theta_average, tensor.offset, tensor.shape).with_axes(tensor.axes));
  }
  add_dataset(document, "/config", Dataset::text(file.config));
  encode_module(file.script, document);
  const std::string sha256 = theta_sha256(file.layout, file.theta);
  document.attributes["format"] = std::string("outerloop");
  document.attributes["format_version"] = std::int64_t{kFormatVersion};
  document.attributes["created"] = file.created;
  document.attributes["git_revision"] = file.git_revision;
  document.attributes["update"] = file.update;
  document.attributes["rule"] = file.rule;
  document.attributes["theta_sha256"] = sha256;
  document.attributes["engine"] = file.engine;
  document.attributes["instruction_set"] = file.instruction_set;
  if (std::isfinite(file.validation_meta_objective))
    document.attributes["validation_meta_objective"] = file.validation_meta_objective;
  return sha256;
}

void write_document(const std::string& path, Kind kind, Document& document) {
  document.attributes["kind"] = std::string(kind_name(kind));
  document.attributes["checksum"] = document.checksum();
  auto bytes = encode_hdf5(document);
  seal(bytes, kFormatVersion);
  write_file_atomically(path, bytes.data(), bytes.size());
}

OpenedDocument open_document(const std::string& path) {
  const std::string file = checkpoint_path(path);
  return parse_document(read_sealed(file, kFormatVersion), file);
}

OpenedDocument parse_document(const std::vector<std::uint8_t>& bytes, const std::string& name) {
  OpenedDocument opened;
  try {
    opened.document = decode_hdf5_isolated(bytes);
  } catch (const Error& error) {
    throw InputError(name + ": " + error.what());
  }
  const DocumentReader reader(opened.document, name);
  const auto& root = reader.root();
  if (reader.text_attribute(root, "/", "format") != "outerloop") reader.refuse("its format is not outerloop");
  const std::int64_t version = reader.integer_attribute(root, "/", "format_version");
  if (version < 1 || version > kFormatVersion)
    reader.refuse("format_version " + std::to_string(version) + " is not one that this version reads (1 to " +
                  std::to_string(kFormatVersion) + ")");
  opened.format_version = static_cast<int>(version);
  opened.kind = kind_of(reader);
  opened.checksum = reader.text_attribute(root, "/", "checksum");
  if (opened.checksum != opened.document.checksum())
    reader.refuse("damaged: the checksum over its datasets differs");
  return opened;
}

RuleFile decode_rule(const DocumentReader& reader) {
  RuleFile file;
  const auto& root = reader.root();
  file.rule = reader.text_attribute(root, "/", "rule");
  file.update = reader.integer_attribute(root, "/", "update");
  if (file.update < 0 || file.update > kMostCounted)
    reader.refuse("attribute update is out of range: " + std::to_string(file.update));
  file.created = reader.text_attribute(root, "/", "created");
  file.git_revision = reader.text_attribute(root, "/", "git_revision");
  // Older files without these attributes can still be read.
  if (root.count("engine") > 0) file.engine = reader.text_attribute(root, "/", "engine");
  if (root.count("instruction_set") > 0)
    file.instruction_set = reader.text_attribute(root, "/", "instruction_set");
  if (root.count("validation_meta_objective") > 0)
    file.validation_meta_objective = reader.real_attribute(root, "/", "validation_meta_objective");
  file.config = reader.text("/config");
  file.layout = decode_layout(reader);
  file.theta = decode_flat(reader, kTheta, file.layout);
  file.theta_average = decode_flat(reader, kAverage, file.layout);
  if (theta_sha256(file.layout, file.theta) != reader.text_attribute(root, "/", "theta_sha256"))
    reader.refuse("damaged: theta_sha256 differs from θ's");
  file.script = decode_module(reader, file.rule);
  return file;
}

void encode_module(const std::shared_ptr<const rule::ScriptedRule>& script, Document& document) {
  if (!script) return;
  auto dataset = Dataset::binary(script->bytes);
  dataset.attributes["sha256"] = module_sha256(*script);
  add_dataset(document, kModule, std::move(dataset));
}

std::shared_ptr<const rule::ScriptedRule> decode_module(const DocumentReader& reader,
                                                        const std::string& rule_name) {
  if (rule_name != kScripted) return nullptr;
  auto script = std::make_shared<rule::ScriptedRule>();
  script->bytes = reader.binary(kModule);
  script->name = reader.file() + ": " + kModule;
  if (module_sha256(*script) != reader.text_attribute(reader.dataset(kModule).attributes, kModule, "sha256"))
    reader.refuse("damaged: the SHA-256 of its module differs");
  return script;
}

std::string module_sha256(const rule::ScriptedRule& script) {
  base::Sha256 hash;
  hash.update(script.bytes.data(), script.bytes.size());
  return base::hex(hash.finish());
}

void encode_moments(const std::string& group, const Layout& layout, const std::vector<double>& values,
                    Document& document) {
  check_size(group.c_str(), values.size(), layout);
  for (const auto& tensor : layout.tensors())
    add_dataset(document, group + link_name(tensor.name),
                Dataset::float64(values, tensor.offset, tensor.shape).with_axes(tensor.axes));
}

std::vector<double> decode_flat(const DocumentReader& reader, const std::string& group,
                                const Layout& layout) {
  const auto links = reader.links(group);
  if (links.empty()) return {};
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(layout.size()));
  for (const auto& tensor : layout.tensors()) {
    const std::string path = group + link_name(tensor.name);
    const auto& shape = reader.dataset(path).shape;
    if (shape != tensor.shape)
      reader.refuse(path + " has shape " + shape_text(shape) + ", not " + shape_text(tensor.shape));
    const auto part = reader.numbers(path);
    values.insert(values.end(), part.begin(), part.end());
  }
  if (links.size() != layout.tensors().size()) reader.refuse(group + " holds more than the layout's tensors");
  return values;
}

}  // namespace outerloop::store
