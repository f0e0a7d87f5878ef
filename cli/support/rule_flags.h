#pragma once
// Flags of the commands that train base models by a rule: RULE, --theta, and size and training of the base
// model.
#include <cstdint>
#include <string>
#include <vector>

#include "common/config/settings.h"

namespace CLI {
class App;
}

namespace outerloop::cli {

struct BaseModelOptions {
  std::vector<std::int64_t> layers;  ///< units of the hidden layers; empty: from the rule's configuration
  std::int64_t features = 0;         ///< output units; 0: as many as the rule was trained with
  std::int64_t inner_steps = 0;      ///< 0: from the rule's configuration
  std::int64_t minibatch = 0;        ///< 0: from the rule's configuration
};

/// `options`, with unset values filled in from the rule's configuration.
BaseModelOptions completed(BaseModelOptions options, const config::Settings& settings);

/// The required argument RULE.
void add_rule(CLI::App& command, std::string& rule);

/// --layers, --features, --inner-steps and --minibatch.
void add_base_model(CLI::App& command, BaseModelOptions& options);

/// --theta: average or last.
void add_theta(CLI::App& command, std::string& theta);

}  // namespace outerloop::cli
