#pragma once
// A subcommand of `outerloop`: its command-line definition and its action.
#include <functional>
#include <vector>

namespace CLI {
class App;
}

namespace outerloop::cli {

/// Result of an add_NAME function. `run` owns the options that the flags are bound to, so a Command must live
/// until the command line is parsed and `run` has returned the exit code.
struct Command {
  CLI::App* app = nullptr;
  std::function<int()> run;
};

/// Runs the command given on the parsed command line; returns its exit code.
int run_given(const std::vector<Command>& commands);

}  // namespace outerloop::cli
