#pragma once
// A subcommand of `outerloop`: its description for the command line, and what it does.
#include <functional>
#include <vector>

namespace CLI {
class App;
}

namespace outerloop::cli {

/// What an add_NAME function returns. `run` owns the options that the flags are bound to, so a Command has to
/// live until the command line is parsed and `run` has returned the exit code.
struct Command {
  CLI::App* app = nullptr;
  std::function<int()> run;
};

/// Runs the one that was given on the command line, which is parsed already; returns its exit code.
int run_given(const std::vector<Command>& commands);

}  // namespace outerloop::cli
