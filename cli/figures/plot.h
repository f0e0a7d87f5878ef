#pragma once
// outerloop plot: draws the figures of a run directory, of evaluate's or figure's JSON, or of a rule.h5.
#include <string>

#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`.
Command add_plot(CLI::App& app);

/// Draws the figures of `input` into `out_dir` (created if needed) and prints each file's path.
///   a run directory     its metrics.jsonl, and its evaluation.json if it exists
///   metrics.jsonl       the learning curve
///   evaluate's JSON     accuracy bars
///   a figure's JSON     the figure again
///   rule.h5, checkpoint norms of θ
/// Returns 0. Throws InputError that names what is missing or wrong.
int plot(const std::string& input, const std::string& out_dir);

}  // namespace outerloop::cli
