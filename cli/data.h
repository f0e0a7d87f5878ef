#pragma once
// outerloop data list and check: which datasets this machine has, and what is in them. docs/data.md.
#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command with both of its subcommands to `app`. `list` returns 0. `check` returns 0, or 2 where a
/// dataset cannot be opened (the others are still checked); it throws InputError for a name that is not
/// known.
Command add_data(CLI::App& app);

}  // namespace outerloop::cli
