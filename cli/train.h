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
  bool respawn = false;                ///< a new worker for each that is lost
  bool joinable = false;               ///< others may join
  std::string join;                    ///< a run directory whose run to join
  std::string init_theta;              ///< a rule.h5 to start from
  std::vector<std::string> overrides;  ///< key=value
  std::vector<std::string> data;       ///< NAME=PATH
  std::string json;                    ///< also write result.json here
  bool keys = false;                   ///< print the keys of configurations, do nothing else
};

/// Adds the command to `app`. It returns 0, or 1 where the run fails while it goes on. Throws InputError
/// where it cannot begin. MPI is given `argc` and `argv`, those of main.
Command add_train(CLI::App& app, int argc, char** argv);

}  // namespace outerloop::cli
