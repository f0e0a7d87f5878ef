#include "common/rule/engines/torchscript.h"

#include "common/base/error.h"
#include "common/rule/engines/reference_library.h"
#include "common/rule/reference/export.h"

namespace outerloop::rule {

std::string torchscript_of(const RuleOptions& rule, const std::vector<double>& theta,
                           const std::string& metadata) {
  if (rule.name != "neuron_local")
    throw InputError("--torchscript: the rule is " + rule.name +
                     ", but only neuron_local can be written as TorchScript; --safetensors takes any");
  const auto make = reinterpret_cast<decltype(&outerloop_make_torchscript)>(
      reference_symbol("outerloop_make_torchscript", "--torchscript: LibTorch"));
  std::string bytes;
  make(&rule, &theta, &metadata, &bytes);
  return bytes;
}

std::string model_torchscript_of(const KeptModel& model, const std::string& metadata) {
  const auto make = reinterpret_cast<decltype(&outerloop_make_model_torchscript)>(
      reference_symbol("outerloop_make_model_torchscript", "--torchscript: LibTorch"));
  std::string bytes;
  make(&model, &metadata, &bytes);
  return bytes;
}

}  // namespace outerloop::rule
