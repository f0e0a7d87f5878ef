#pragma once
// A rule written in Python: a TorchScript module, and what LibTorch has read from it. Page:
// docs/python-rules.md.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/rule/layout.h"
#include "common/rule/phi.h"

namespace outerloop::rule {

/// Made by read_scripted_rule() (common/rule/engines); shared by all copies of its RuleOptions.
struct ScriptedRule {
  std::string bytes;  ///< of the module's file (.pt)
  std::string name;   ///< begins error messages, e.g. "rule.path my_rule.pt"
  bool supervised = false;
  std::int64_t output_units = 0;  ///< features of the base model; supervised: 0, an output per class
  double ridge = 0.0;             ///< λ of the default meta-objective
  Layout theta;                   ///< the module's parameters in their order; tied ones once
  std::vector<double> initial_theta;
  /// φ's tensors "l/KEY", as the module's init returns them. It calls the module; several threads may call
  /// it. Throws InputError where the module fails.
  std::function<Layout(const Architecture&)> phi_layout;
};

}  // namespace outerloop::rule
