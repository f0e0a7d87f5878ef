#pragma once
// outerloop train: meta-trains an update rule, as all ranks of a job or in one process.
#include <string>
#include <vector>

#include "cli/support/command.h"

namespace outerloop::cli {

struct TrainOptions {
  std::string config;         ///< preset or file; empty: laptop
  std::string run_directory;  ///< empty: runs/<config>
  bool resume = false;
  bool respawn = false;                ///< start a worker in place of each lost one
  bool joinable = false;               ///< let other workers join
  std::string join;                    ///< directory of the run to join
  std::string init_theta;              ///< a rule.h5 to start from
  std::vector<std::string> overrides;  ///< key=value
  std::vector<std::string> data;       ///< NAME=PATH
  std::string json;                    ///< also write result.json here
  bool keys = false;                   ///< only print the configuration keys
};

/// Adds the command to `app`. It returns 0, or 1 if the run fails after its start. Throws InputError if it
/// cannot start. MPI gets `argc` and `argv`, those of main.
Command add_train(CLI::App& app, int argc, char** argv);

}  // namespace outerloop::cli
