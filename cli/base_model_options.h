#pragma once
// How evaluate, figure and apply train base models by a rule.
#include <cstdint>
#include <vector>

#include "common/config/settings.h"

namespace outerloop::cli {

struct BaseModelOptions {
  std::vector<std::int64_t> layers;  ///< units of the hidden layers; empty: as the rule's configuration says
  std::int64_t inner_steps = 0;      ///< 0: likewise
  std::int64_t minibatch = 0;        ///< 0: likewise
};

/// With what `options` leave open as the rule's configuration says.
inline BaseModelOptions completed(BaseModelOptions options, const config::Settings& settings) {
  if (options.layers.empty()) options.layers = settings.evaluation_hidden_units();
  if (options.inner_steps == 0) options.inner_steps = settings.evaluation_inner_steps();
  if (options.minibatch == 0) options.minibatch = settings.config.tasks().minibatch();
  return options;
}

}  // namespace outerloop::cli
