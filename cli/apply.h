#pragma once
// outerloop apply: features of a user's own rows (CSV, NPY, HDF5), by a base model that a rule trains on them
// or that was kept.
#include <string>

#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`. It returns 0. Throws InputError for a rule, a model or rows that do not fit,
/// Error where the disk refuses. `git_revision`: of this program, for models.
Command add_apply(CLI::App& app, const std::string& git_revision);

}  // namespace outerloop::cli
