#include "cli/support/rule_flags.h"

#include <CLI/CLI.hpp>

namespace outerloop::cli {

BaseModelOptions completed(BaseModelOptions options, const config::Settings& settings) {
  if (options.layers.empty()) options.layers = settings.evaluation_hidden_units();
  if (options.inner_steps == 0) options.inner_steps = settings.evaluation_inner_steps();
  if (options.minibatch == 0) options.minibatch = settings.config.tasks().minibatch();
  return options;
}

void add_rule(CLI::App& command, std::string& rule) {
  command.add_option("RULE", rule, "rule.h5, or a checkpoint")->required();
}

void add_base_model(CLI::App& command, BaseModelOptions& options) {
  constexpr const char* kByConfiguration = "by the rule's configuration";
  command
      .add_option("--layers", options.layers,
                  "units of the base model's hidden layers, e.g. 64,64; its outputs: --features")
      ->default_str(kByConfiguration)
      ->delimiter(',')
      ->check(CLI::Range(1, 100000))
      ->allow_extra_args(false);
  command
      .add_option("--features", options.features,
                  "features of an example, a multiple of the rule's output_units")
      ->default_str("the rule's output_units")
      ->check(CLI::Range(1, 4096));
  command.add_option("--inner-steps", options.inner_steps, "inner steps")
      ->default_str(kByConfiguration)
      ->check(CLI::Range(1, 100000000));
  command.add_option("--minibatch", options.minibatch, "examples per inner step")
      ->default_str(kByConfiguration)
      ->check(CLI::Range(2, 65536));
}

void add_theta(CLI::App& command, std::string& theta) {
  command.add_option("--theta", theta, "the running average of θ where there is one, or the last θ")
      ->check(CLI::IsMember({"average", "last"}));
}

}  // namespace outerloop::cli
