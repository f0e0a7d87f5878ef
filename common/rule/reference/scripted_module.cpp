#include "common/rule/reference/scripted_module.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/version.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "common/base/error.h"

namespace outerloop::rule::reference {
namespace {

/// The last line of an error of LibTorch's, which is the cause; those before are the stack.
std::string cause_of(const std::exception& error) {
  const auto* own = dynamic_cast<const c10::Error*>(&error);
  std::istringstream lines(own != nullptr ? own->what_without_backtrace() : error.what());
  std::string last;
  for (std::string line; std::getline(lines, line);)
    if (line.find_first_not_of(" ~<-^") != std::string::npos) last = line;
  return last;
}

/// The first line: what is wrong with a file that cannot be read.
std::string first_line(const std::exception& error) {
  const auto* own = dynamic_cast<const c10::Error*>(&error);
  std::istringstream lines(own != nullptr ? own->what_without_backtrace() : error.what());
  std::string line;
  while (std::getline(lines, line) && line.empty()) continue;
  return line;
}

/// Why a file could not be loaded, in words.
std::string load_failure(const std::exception& error) {
  const std::string text = error.what(), line = first_line(error);
  const auto says = [&](const char* words) { return text.find(words) != std::string::npos; };
  if (says("maximum supported version") || says("greater than max supported"))
    return "comes from a newer PyTorch than LibTorch " TORCH_VERSION
           " reads; save it with an older one (LibTorch says: " +
           line + ")";
  if (says("Unknown builtin op"))
    return "uses an operation that LibTorch " TORCH_VERSION
           " does not have; save it with an older PyTorch (LibTorch says: " +
           line + ")";
  return "is no TorchScript module; write it with torch.jit.script(rule).save(FILE) (LibTorch says: " + line +
         ")";
}

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

bool is_word(const std::string& key) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !key.empty() && std::all_of(key.begin(), key.end(), allowed);
}

c10::impl::GenericList list_of(const Layout& layout, const State& phi) {
  const auto layer_type = c10::DictType::create(c10::StringType::get(), c10::TensorType::get());
  c10::impl::GenericList layers(layer_type);
  std::string current;
  for (std::size_t i = 0; i < phi.size(); ++i) {
    const std::string& name = layout.tensors()[i].name;
    const auto slash = name.find('/');
    if (name.substr(0, slash) != current) {
      layers.push_back(c10::impl::GenericDict(c10::StringType::get(), c10::TensorType::get()));
      current = name.substr(0, slash);
    }
    layers.get(layers.size() - 1).toGenericDict().insert(name.substr(slash + 1), phi[i]);
  }
  return layers;
}

}  // namespace

ScriptedModule::ScriptedModule(const std::string& bytes, std::string name) : name_(std::move(name)) {
  std::istringstream stream(bytes);
  try {
    module_ = torch::jit::load(stream, c10::Device(c10::kCPU));
  } catch (const std::exception& error) {
    refuse(load_failure(error));
  }
  module_.eval();
  for (const auto& parameter : module_.named_parameters()) {
    const auto same = [&](const Parameter& other) { return other.tensor.is_same(parameter.value); };
    if (std::none_of(parameters_.begin(), parameters_.end(), same))
      parameters_.push_back({parameter.name, parameter.value});
  }
}

void ScriptedModule::refuse(const std::string& what) const {
  throw InputError(name_ + ": the module " + what);
}

std::vector<Tensor> ScriptedModule::tensors() const {
  std::vector<Tensor> list;
  for (const auto& parameter : parameters_) list.push_back(parameter.tensor);
  return list;
}

void ScriptedModule::move_to(const at::TensorOptions& options) {
  const c10::NoGradGuard no_gradient;
  for (const auto& parameter : parameters_) parameter.tensor.set_data(parameter.tensor.to(options));
  for (const Tensor& buffer : module_.buffers())
    buffer.set_data(buffer.is_floating_point() ? buffer.to(options)
                                               : buffer.to(options.dtype(buffer.scalar_type())));
}

void ScriptedModule::set_theta(const std::vector<Tensor>& theta, bool requires_grad) {
  const c10::NoGradGuard no_gradient;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].tensor.copy_(theta[i]);
    parameters_[i].tensor.set_requires_grad(requires_grad);
  }
}

bool ScriptedModule::has_method(const char* name) const { return module_.find_method(name).has_value(); }

bool ScriptedModule::takes_labels() const {
  return module_.get_method("step").function().getSchema().arguments().size() > 3;
}

const c10::IValue* ScriptedModule::find_value(const char* name, c10::IValue& storage) const {
  const auto type = module_.type();
  if (module_.hasattr(name))
    storage = module_.attr(name);
  else if (type->hasConstant(name))
    storage = type->getConstant(name);
  else
    return nullptr;
  return &storage;
}

bool ScriptedModule::flag(const char* name, bool missing) const {
  c10::IValue value;
  if (find_value(name, value) == nullptr) return missing;
  if (!value.isBool()) refuse(std::string("has the attribute ") + name + ", which is neither True nor False");
  return value.toBool();
}

std::int64_t ScriptedModule::integer(const char* name, std::int64_t missing) const {
  c10::IValue value;
  if (find_value(name, value) == nullptr) return missing;
  if (!value.isInt()) refuse(std::string("has the attribute ") + name + ", which is no int");
  return value.toInt();
}

double ScriptedModule::number(const char* name, double missing) const {
  c10::IValue value;
  if (find_value(name, value) == nullptr) return missing;
  if (!value.isDouble() && !value.isInt())
    refuse(std::string("has the attribute ") + name + ", which is no number");
  return value.isInt() ? static_cast<double>(value.toInt()) : value.toDouble();
}

std::vector<std::string> ScriptedModule::texts(const char* name) const {
  c10::IValue value;
  if (find_value(name, value) == nullptr) return {};
  std::vector<std::string> list;
  if (!value.isList()) refuse(std::string("has the attribute ") + name + ", which is no List[str]");
  for (const c10::IValue& entry : value.toListRef()) {
    if (!entry.isString()) refuse(std::string("has the attribute ") + name + ", which is no List[str]");
    list.push_back(entry.toStringRef());
  }
  return list;
}

c10::IValue ScriptedModule::call(const char* method, std::vector<c10::IValue> arguments) const {
  const torch::jit::GraphOptimizerEnabledGuard simple_executor(false);
  const c10::AutoGradMode with_gradients(true);
  try {
    return module_.get_method(method)(std::move(arguments));
  } catch (const std::exception& error) {
    refuse(std::string("fails in ") + method + ": " + cause_of(error));
  }
}

Layout ScriptedModule::phi_layout(const std::vector<std::int64_t>& units) {
  const auto value = call("init", {c10::List<std::int64_t>(units), std::int64_t{0}});
  std::vector<TensorSpec> specs;
  std::int64_t layer = 0;
  for (const c10::IValue& entry : value.toListRef()) {
    ++layer;
    for (const auto& item : entry.toGenericDict()) {
      const std::string key = item.key().toStringRef(), name = std::to_string(layer) + "/" + key;
      const Tensor tensor = item.value().toTensor();
      if (!is_word(key)) refuse("has a key \"" + key + "\" in φ; a key has letters, digits and underscores");
      if (!tensor.is_floating_point()) refuse("returns φ with " + name + ", which is not floating-point");
      if (tensor.numel() < 1) refuse("returns φ with " + name + " of shape " + shape_text(tensor.sizes()));
      specs.push_back({name, tensor.sizes().vec(), "", Initializer::constant(0.0), false, 0});
    }
    if (specs.empty() || specs.back().name.rfind(std::to_string(layer) + "/", 0) != 0)
      refuse("returns φ without a tensor in layer " + std::to_string(layer));
  }
  if (specs.empty()) refuse("returns an empty φ from init");
  return Layout(std::move(specs));
}

/// The tensors of a φ that a method returned, by their names.
State ScriptedModule::matched(const Layout& layout, const c10::IValue& phi, const char* method) const {
  std::map<std::string, Tensor> by_name;
  std::int64_t layer = 0;
  for (const c10::IValue& entry : phi.toListRef()) {
    ++layer;
    for (const auto& item : entry.toGenericDict())
      by_name[std::to_string(layer) + "/" + item.key().toStringRef()] = item.value().toTensor();
  }
  State state;
  for (const auto& spec : layout.tensors()) {
    const auto found = by_name.find(spec.name);
    if (found == by_name.end())
      refuse(std::string("returns φ of another shape from ") + method + ": " + spec.name + " is missing");
    if (found->second.sizes() != at::IntArrayRef(spec.shape))
      refuse(std::string("returns φ of another shape from ") + method + ": " + spec.name + " is " +
             shape_text(found->second.sizes()) + ", init returned " + shape_text(spec.shape));
    state.push_back(found->second);
    by_name.erase(found);
  }
  if (!by_name.empty())
    refuse(std::string("returns φ of another shape from ") + method + ": init did not return " +
           by_name.begin()->first);
  return state;
}

State ScriptedModule::init(const Layout& layout, const std::vector<std::int64_t>& units, std::int64_t seed) {
  return matched(layout, call("init", {c10::List<std::int64_t>(units), seed}), "init");
}

State ScriptedModule::step(const Layout& layout, const State& phi, const Tensor& x, const Tensor& y) {
  std::vector<c10::IValue> arguments{list_of(layout, phi), x};
  if (takes_labels()) arguments.emplace_back(y);
  return matched(layout, call("step", std::move(arguments)), "step");
}

std::vector<Tensor> ScriptedModule::calibrate(const Layout& layout, const State& phi, const Tensor& x) {
  if (!has_method("calibrate")) return {};
  return call("calibrate", {list_of(layout, phi), x}).toTensorVector();
}

Tensor ScriptedModule::features(const Layout& layout, const State& phi, const Tensor& x,
                                const std::vector<Tensor>* statistics) {
  std::vector<c10::IValue> arguments{list_of(layout, phi), x};
  if (has_method("calibrate"))
    arguments.push_back(statistics == nullptr ? c10::IValue() : c10::IValue(*statistics));
  const Tensor result = call("features", std::move(arguments)).toTensor();
  if (result.dim() != 2 || result.size(0) != x.size(0) || !result.is_floating_point())
    refuse("returns features of shape " + shape_text(result.sizes()) + " for " + std::to_string(x.size(0)) +
           " examples; [examples, units] is wanted");
  return result;
}

Tensor ScriptedModule::objective(const Layout& layout, const State& phi,
                                 const std::vector<Tensor>& labelled) {
  std::vector<c10::IValue> arguments{list_of(layout, phi)};
  arguments.insert(arguments.end(), labelled.begin(), labelled.end());
  const Tensor result = call("objective", std::move(arguments)).toTensor();
  if (result.numel() != 1 || !result.is_floating_point())
    refuse("returns an objective of shape " + shape_text(result.sizes()) + "; one number is wanted");
  return result.reshape({});
}

}  // namespace outerloop::rule::reference
