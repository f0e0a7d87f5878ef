#pragma once
// outerloop figure NAME RULE: each figure of the paper from one command.
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/commands.h"

namespace outerloop::cli {

struct FigureOptions {
  std::string name;
  EvaluateOptions study;             ///< draws 0: the figure's own number
  std::vector<std::int64_t> values;  ///< of what the figure varies; empty: the figure's own
  std::string out = "figures";
};

/// Adds the command with its flags and names to `app`.
CLI::App* add_figure(CLI::App& app, FigureOptions& options);

/// Computes what the figure shows, writes OUT/NAME.json, draws NAME.png and NAME.svg from it, and prints
/// their paths. Returns 0. Throws InputError for names, flags, files and data that do not fit.
int figure(const FigureOptions& options);

}  // namespace outerloop::cli
