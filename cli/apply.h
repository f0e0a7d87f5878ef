#pragma once
// outerloop apply: features of a user's own rows (CSV, NPY, HDF5), from a base model that a rule trains on
// them, or from a saved one.
#include <string>

#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`. It returns 0. Throws InputError for an unsuitable rule, model or input, Error
/// if the disk refuses. `git_revision`: of this program, for saved models.
Command add_apply(CLI::App& app, const std::string& git_revision);

}  // namespace outerloop::cli
