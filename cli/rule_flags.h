#pragma once
// Flags that every command has that trains base models by a rule.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace outerloop::cli {

inline void add_rule(CLI::App& command, std::string& rule) {
  command.add_option("RULE", rule, "rule.h5, or a checkpoint")->required();
}

/// 0: as the rule's configuration says.
inline void add_inner_steps(CLI::App& command, std::int64_t& inner_steps) {
  command.add_option("--inner-steps", inner_steps, "inner steps; default: as the rule's configuration says")
      ->check(CLI::Range(1, 100000000));
}

/// Likewise.
inline void add_minibatch(CLI::App& command, std::int64_t& minibatch) {
  command
      .add_option("--minibatch", minibatch,
                  "examples per inner step; default: as the rule's configuration says")
      ->check(CLI::Range(2, 65536));
}

inline void add_layers(CLI::App& command, std::vector<std::int64_t>& layers) {
  command
      .add_option("--layers", layers, "units of the base model's hidden layers; the rule fixes the outputs")
      ->delimiter(',')
      ->check(CLI::Range(1, 100000))
      ->allow_extra_args(false)
      ->capture_default_str();
}

inline void add_theta(CLI::App& command, std::string& theta) {
  command.add_option("--theta", theta, "the running average of θ where there is one, or the last θ")
      ->check(CLI::IsMember({"average", "last"}));
}

}  // namespace outerloop::cli
