#include "cli/support/command.h"

#include <CLI/CLI.hpp>
#include <stdexcept>

namespace outerloop::cli {

int run_given(const std::vector<Command>& commands) {
  for (const auto& command : commands)
    if (command.app->parsed()) return command.run();
  throw std::logic_error("run_given: none of the commands was given");
}

}  // namespace outerloop::cli
