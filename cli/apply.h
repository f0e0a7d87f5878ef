#pragma once
// outerloop apply: features of a user's own NPY array, from a base model that a rule trains on it.
#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`. It returns 0. Throws InputError for a rule or array that does not fit, Error
/// where the disk refuses.
Command add_apply(CLI::App& app);

}  // namespace outerloop::cli
