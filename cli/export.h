#pragma once
// outerloop export: a rule's θ as safetensors or TorchScript, for programs that do not read rule.h5.
#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`. It prints the written files, and returns 0. Throws InputError if the rule
/// cannot be read or no output file is named, and, for TorchScript, if the rule is not neuron_local or
/// LibTorch is not available.
Command add_export(CLI::App& app);

}  // namespace outerloop::cli
