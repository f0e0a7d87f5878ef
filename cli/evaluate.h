#pragma once
// outerloop evaluate: few-shot accuracy of base models that a rule has trained, next to baselines.
#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`. It prints a table for every dataset and size, and returns 0. Throws InputError
/// for an unsuitable rule, dataset or method.
Command add_evaluate(CLI::App& app);

}  // namespace outerloop::cli
