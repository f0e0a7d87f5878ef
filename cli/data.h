#pragma once
// outerloop data list and check: the datasets available on this machine, and their contents. docs/data.md.
#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command with both of its subcommands to `app`. `list` returns 0. `check` returns 0, or 2 if a
/// dataset cannot be opened (the others are still checked); it throws InputError for an unknown name.
Command add_data(CLI::App& app);

}  // namespace outerloop::cli
