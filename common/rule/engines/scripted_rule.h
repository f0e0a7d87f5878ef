#pragma once
// Reads a rule written in Python, a TorchScript module, and writes it with another θ. The reference engine's
// library, loaded on demand, does both.
#include <memory>
#include <string>
#include <vector>

#include "common/rule/scripted_rule.h"

namespace outerloop::rule {

/// Runs the module to check it. `name` begins error messages. Throws InputError, one line, for bytes that are
/// no module or do not keep the contract (docs/python-rules.md), and where this build has no LibTorch.
std::shared_ptr<const ScriptedRule> read_scripted_rule(const std::string& bytes, const std::string& name);

/// The bytes of the module's file with θ as its parameters; `metadata` is stored in it as outerloop.json.
std::string scripted_module_of(const ScriptedRule& rule, const std::vector<double>& theta,
                               const std::string& metadata);

}  // namespace outerloop::rule
