#pragma once
// outerloop plot: draws the figures of a run directory, of several, of evaluate's or figure's JSON, or of a
// rule.h5.
#include <string>
#include <vector>

#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`.
Command add_plot(CLI::App& app);

/// Draws what the only input allows into `out_dir` (made where needed; empty: figures_folder()) and prints
/// each file's path.
///   a run directory     its metrics.jsonl, and its evaluation.json where there is one
///   metrics.jsonl       the learning curve
///   evaluate's JSON     accuracy bars
///   a figure's JSON     the figure again
///   rule.h5, checkpoint norms of θ
/// Of several run directories or metrics.jsonl: their learning curves in one figure. Returns 0. Throws
/// InputError that names what is missing or wrong.
int plot(const std::vector<std::string>& inputs, const std::string& out_dir);

}  // namespace outerloop::cli
