// A rule as a module that PyTorch loads without us: θ's tensors as parameters, the rule as TorchScript.
#include <torch/csrc/jit/api/module.h>

#include <algorithm>
#include <sstream>

#include "common/base/error.h"
#include "common/rule/checks.h"
#include "common/rule/reference/export.h"
#include "common/rule/reference/torchscript_source.h"
#include "common/rule/reference/transfer.h"
#include "common/rule/reference/translated.h"

namespace outerloop::rule::reference {
namespace {

/// PyTorch's parameters have no dots in their names.
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
  module.define(theta_method(layout));
  module.define(kTorchScriptSource);
  std::ostringstream bytes;
  module.save(bytes, {{"outerloop.json", metadata}});
  return bytes.str();
}

}  // namespace
}  // namespace outerloop::rule::reference

extern "C" OUTERLOOP_REFERENCE_API void outerloop_make_torchscript(const outerloop::rule::RuleOptions* rule,
                                                                   const std::vector<double>* theta,
                                                                   const std::string* metadata,
                                                                   std::string* bytes) {
  *bytes = outerloop::rule::reference::translated(
      [&] { return outerloop::rule::reference::make_torchscript(*rule, *theta, *metadata); });
}
