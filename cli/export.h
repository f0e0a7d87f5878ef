#pragma once
// outerloop export: a rule's θ as safetensors or TorchScript, for programs that do not read rule.h5.
#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`. It prints what was written, and returns 0. Throws InputError where the rule
/// cannot be read or no file to write is named, and, for TorchScript, where the rule is another than
/// neuron_local or LibTorch is not there.
Command add_export(CLI::App& app);

}  // namespace outerloop::cli
