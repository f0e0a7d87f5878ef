#pragma once
// The subcommands of `outerloop`. Each takes its checked options and returns the exit code; errors are
// thrown.
#include <cstdint>
#include <string>
#include <vector>

#include "cli/base_model_options.h"

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
  std::string json;                    ///< also write result.json here
};
int train(int argc, char** argv, const TrainOptions& options);

struct EvaluateOptions {
  std::string rule;
  std::vector<std::string> datasets;  ///< NAME[:PATH]; empty: those of the rule's configuration
  std::vector<std::int64_t> sizes;    ///< empty: that of the rule's configuration
  std::int64_t labels = 10;
  std::int64_t draws = 50;
  BaseModelOptions base_model;
  std::uint64_t seed = 0;
  std::vector<std::string> baselines = {"all"};  ///< all, none, or names
  std::vector<std::string> readouts = {"all"};   ///< all, or names
  std::string theta = "average";                 ///< average | last
  int threads = 0;                               ///< 0: one per core
  std::string json;
};
int evaluate(const EvaluateOptions& options);

}  // namespace outerloop::cli
