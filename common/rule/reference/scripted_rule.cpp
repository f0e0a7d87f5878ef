// Reads a module into a ScriptedRule, and writes one with another θ.
#include "common/rule/scripted_rule.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>

#include "common/rule/reference/device.h"
#include "common/rule/reference/export.h"
#include "common/rule/reference/module_checks.h"
#include "common/rule/reference/scripted_module.h"
#include "common/rule/reference/transfer.h"
#include "common/rule/reference/translated.h"

namespace outerloop::rule::reference {
namespace {

/// Layouts that init has been asked for, by units.
class PhiLayouts {
 public:
  explicit PhiLayouts(ScriptedModule module) : module_(std::move(module)) {}

  Layout of(const std::vector<std::int64_t>& units) {
    constexpr std::size_t kMost = 4096;  // tasks have a few sizes each
    const std::lock_guard<std::mutex> lock(mutex_);
    if (const auto found = known_.find(units); found != known_.end()) return found->second;
    if (known_.size() >= kMost) known_.clear();
    return known_[units] = translated([&] { return module_.phi_layout(units); });
  }

 private:
  std::mutex mutex_;
  ScriptedModule module_;
  std::map<std::vector<std::int64_t>, Layout> known_;
};

Layout theta_layout_of(const ScriptedModule& module) {
  const auto without_gradient = module.texts("zero_gradient");
  std::vector<TensorSpec> specs;
  for (const auto& parameter : module.parameters()) {
    const bool zero =
        std::find(without_gradient.begin(), without_gradient.end(), parameter.name) != without_gradient.end();
    specs.push_back(
        {parameter.name, parameter.tensor.sizes().vec(), "", Initializer::constant(0.0), zero, 0});
  }
  return Layout(std::move(specs));
}

void read_module(const std::string& bytes, const std::string& name, ScriptedRule& rule) {
  constexpr double kDefaultRidge = 0.1;
  ScriptedModule module(bytes, name);
  check_module(module);
  rule.bytes = bytes;
  rule.name = name;
  rule.supervised = module.flag("supervised", false);
  rule.output_units = output_units_of(module);
  rule.ridge = module.number("ridge", kDefaultRidge);
  if (!(rule.ridge > 0.0)) module.refuse("has the attribute ridge, which is not above 0");
  rule.theta = theta_layout_of(module);
  rule.initial_theta = store(rule.theta, module.tensors());
  const auto layouts = std::make_shared<PhiLayouts>(std::move(module));
  rule.phi_layout = [layouts](const Architecture& architecture) { return layouts->of(architecture.units); };
}

std::string write_module(const ScriptedRule& rule, const std::vector<double>& theta,
                         const std::string& metadata) {
  ScriptedModule module(rule.bytes, rule.name);
  module.set_theta(load(rule.theta, theta, at::TensorOptions(at::kFloat), false), false);
  std::ostringstream bytes;
  module.module().save(bytes, {{"outerloop.json", metadata}});
  return bytes.str();
}

}  // namespace
}  // namespace outerloop::rule::reference

extern "C" OUTERLOOP_REFERENCE_API void outerloop_read_module(const std::string* bytes,
                                                              const std::string* name,
                                                              outerloop::rule::ScriptedRule* result) {
  namespace reference = outerloop::rule::reference;
  reference::translated([&] { reference::read_module(*bytes, *name, *result); });
}

extern "C" OUTERLOOP_REFERENCE_API void outerloop_write_module(const outerloop::rule::ScriptedRule* rule,
                                                               const std::vector<double>* theta,
                                                               const std::string* metadata,
                                                               std::string* bytes) {
  namespace reference = outerloop::rule::reference;
  *bytes = reference::translated([&] { return reference::write_module(*rule, *theta, *metadata); });
}
