#pragma once
// outerloop bench: speed and memory of the engines, the coordinator and the gradient estimators on this
// machine. docs/bench.md.
#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command with its subcommands, one per benchmark, to `app`.
Command add_bench(CLI::App& app);

}  // namespace outerloop::cli
