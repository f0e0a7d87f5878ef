// A rule, or a trained base model, as a module for PyTorch that does not need this library.
#include <torch/csrc/jit/api/module.h>

#include <algorithm>
#include <sstream>

#include "common/base/error.h"
#include "common/rule/checks.h"
#include "common/rule/kept_model.h"
#include "common/rule/reference/export.h"
#include "common/rule/reference/torchscript_source.h"
#include "common/rule/reference/transfer.h"
#include "common/rule/reference/translated.h"

namespace outerloop::rule::reference {
namespace {

/// PyTorch's parameter names cannot contain dots.
std::string parameter_name(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

/// The method `theta()`: the tensors under their own names.
std::string theta_method(const Layout& layout) {
  std::string entries;
  for (const auto& tensor : layout.tensors())
    entries += (entries.empty() ? "\"" : ", \"") + tensor.name + "\": self." + parameter_name(tensor.name);
  return "def theta(self) -> Dict[str, Tensor]:\n    return {" + entries + "}\n";
}

void add_parameters(torch::jit::Module& module, const Layout& layout, const std::vector<double>& theta) {
  const auto tensors = load(layout, theta, at::TensorOptions(at::kFloat), false);
  for (std::size_t i = 0; i < tensors.size(); ++i)
    module.register_parameter(parameter_name(layout.tensors()[i].name), tensors[i], /*is_buffer=*/false);
}

/// What makes the module a rule for Outerloop too (docs/python-rules.md).
void add_attributes(torch::jit::Module& module, const Layout& layout, double ridge) {
  c10::List<std::string> without_gradient;
  for (const auto& tensor : layout.tensors())
    if (tensor.zero_gradient) without_gradient.push_back(parameter_name(tensor.name));
  module.register_attribute("ridge", c10::FloatType::get(), ridge);
  module.register_attribute("zero_gradient", c10::ListType::ofStrings(), without_gradient);
}

void add_sizes(torch::jit::Module& module, const NeuronLocalSize& size) {
  module.register_attribute("inner_step_size", c10::FloatType::get(), size.inner_step_size);
  module.register_attribute("output_units", c10::IntType::get(), size.output_units);
  module.register_attribute("top_layers", c10::IntType::get(), size.top_layers);
  module.register_attribute("hidden_blocks", c10::IntType::get(), size.hidden_blocks);
}

std::string make_torchscript(const RuleOptions& rule, const std::vector<double>& theta,
                             const std::string& metadata) {
  check_rule(rule);
  const Layout layout = theta_layout(rule);
  OUTERLOOP_CHECK(static_cast<std::int64_t>(theta.size()) == layout.size(),
                  std::to_string(theta.size()) + " values of θ for " + std::to_string(layout.size()));
  torch::jit::Module module("outerloop_rule");
  add_parameters(module, layout, theta);
  add_sizes(module, rule.neuron_local);
  add_attributes(module, layout, rule.neuron_local.ridge);
  module.define(theta_method(layout));
  module.define(kTorchScriptSource);
  std::ostringstream bytes;
  module.save(bytes, {{"outerloop.json", metadata}});
  return bytes.str();
}

/// [columns] bounds of the input scaling: `place` 0 or 1 selects the lower or the upper one, whether each
/// column has its own or all share one pair.
at::Tensor bounds(const InputScaling& scaling, std::int64_t place) {
  const auto numbers = at::tensor(scaling.numbers, at::TensorOptions(at::kDouble));
  if (scaling.numbers.size() == 2) return numbers.select(0, place).clone();
  return numbers.view({scaling.columns, 2}).select(1, place).clone();
}

void add_scaling(torch::jit::Module& module, const InputScaling& scaling) {
  const bool ranks = scaling.kind == "ranks";
  const auto none = at::zeros({0}, at::TensorOptions(at::kDouble));
  module.register_attribute("kind", c10::StringType::get(), scaling.kind);
  module.register_attribute("inputs", c10::IntType::get(), scaling.columns);
  module.register_buffer("low", ranks ? none : bounds(scaling, 0));
  module.register_buffer("high", ranks ? none : bounds(scaling, 1));
  module.register_buffer(
      "thresholds",
      ranks ? at::tensor(scaling.numbers, at::TensorOptions(at::kDouble)).view({scaling.columns, -1}) : none);
}

std::string make_model_torchscript(const KeptModel& model, const std::string& metadata) {
  torch::jit::Module module("outerloop_model");
  add_scaling(module, model.scaling);
  const auto layout = phi_layout(model.rule, model.architecture);
  const auto tensors = load(layout, model.phi, at::TensorOptions(at::kFloat), false);
  std::string entries;
  for (std::int64_t l = 1; l <= model.architecture.layers(); ++l) {
    const auto number = std::to_string(l);
    const auto add = [&](const std::string& name, const at::Tensor& tensor) {
      module.register_buffer(name + number, tensor);
      return "self." + name + number;
    };
    const auto vector = [](const std::vector<double>& values) {
      return at::tensor(values, at::TensorOptions(at::kDouble)).to(at::kFloat);
    };
    const auto place = static_cast<std::size_t>(l - 1);
    std::string entry;
    for (std::size_t i = 0; i < tensors.size(); ++i)
      for (const char* name : {"W", "b"})
        if (layout.tensors()[i].name == number + "/" + name) entry += add(name, tensors[i]) + ", ";
    entry += add("mean", vector(model.statistics.mean[place])) + ", ";
    entry += add("scale", vector(model.statistics.standard_deviation[place]));
    entries += (l > 1 ? ", (" : "(") + entry + ")";
  }
  module.define("def layers(self) -> List[Tuple[Tensor, Tensor, Tensor, Tensor]]:\n    return [" + entries +
                "]\n");
  module.define(kModelTorchScriptSource);
  std::ostringstream bytes;
  module.save(bytes, {{"outerloop.json", metadata}});
  return bytes.str();
}

}  // namespace
}  // namespace outerloop::rule::reference

extern "C" OUTERLOOP_REFERENCE_API void outerloop_make_model_torchscript(
    const outerloop::rule::KeptModel* model, const std::string* metadata, std::string* bytes) {
  *bytes = outerloop::rule::reference::translated(
      [&] { return outerloop::rule::reference::make_model_torchscript(*model, *metadata); });
}

extern "C" OUTERLOOP_REFERENCE_API void outerloop_make_torchscript(const outerloop::rule::RuleOptions* rule,
                                                                   const std::vector<double>* theta,
                                                                   const std::string* metadata,
                                                                   std::string* bytes) {
  *bytes = outerloop::rule::reference::translated(
      [&] { return outerloop::rule::reference::make_torchscript(*rule, *theta, *metadata); });
}
