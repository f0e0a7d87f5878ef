#pragma once
// outerloop apply RULE: a user's own array in, features out.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace outerloop::cli {

struct ApplyCommandOptions {
  std::string rule, input, output;
  std::vector<std::int64_t> layers = {64, 64};
  std::int64_t inner_steps = 0;  ///< 0: as the rule's configuration says
  std::int64_t minibatch = 0;    ///< likewise
  std::uint64_t seed = 0;
  std::string scale = "auto";     ///< auto | columns | array | none
  std::string theta = "average";  ///< average | last
};

/// Adds the command with its flags to `app`.
CLI::App* add_apply(CLI::App& app, ApplyCommandOptions& options);

/// Returns 0. Throws InputError for a rule or array that does not fit, Error where the disk refuses.
int apply(const ApplyCommandOptions& options);

}  // namespace outerloop::cli
