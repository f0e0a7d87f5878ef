#pragma once
// outerloop apply RULE: a user's own array in, features out.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "cli/base_model_options.h"

namespace outerloop::cli {

struct ApplyCommandOptions {
  std::string rule, input, output;
  BaseModelOptions base_model;
  std::uint64_t seed = 0;
  std::string scale = "auto";     ///< auto | columns | array | none
  std::string theta = "average";  ///< average | last
};

/// Adds the command with its flags to `app`.
CLI::App* add_apply(CLI::App& app, ApplyCommandOptions& options);

/// Returns 0. Throws InputError for a rule or array that does not fit, Error where the disk refuses.
int apply(const ApplyCommandOptions& options);

}  // namespace outerloop::cli
