#pragma once
// Checks of a TorchScript module before anything is trained with it.
#include "common/rule/reference/scripted_module.h"

namespace outerloop::rule::reference {

/// Throws InputError, one line that names the problem: a method that is missing or of another signature,
/// parameters that are not float32, a traced submodule or function, a random generator, φ or features of
/// another shape, features that depend on other rows, a shape that was burnt in.
void check_module(ScriptedModule& module);

/// The module's features of its base model: the attribute output_units; 0 for a supervised one.
std::int64_t output_units_of(const ScriptedModule& module);

}  // namespace outerloop::rule::reference
