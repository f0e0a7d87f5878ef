#pragma once
// outerloop figure: computes one of the paper's figures for a rule, and draws it.
#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`. It computes the figure's data, writes OUT/NAME.json, draws NAME.png and
/// NAME.svg from it, prints their paths, and returns 0. Throws InputError for names, flags, files and data
/// that do not fit.
Command add_figure(CLI::App& app);

}  // namespace outerloop::cli
