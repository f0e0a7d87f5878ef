#pragma once
// outerloop evaluate: few-shot accuracy of base models that a rule has trained, beside its baselines.
#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`. It prints a table for every dataset and size, and returns 0. Throws InputError
/// for a rule, datasets or methods that do not fit.
Command add_evaluate(CLI::App& app);

}  // namespace outerloop::cli
