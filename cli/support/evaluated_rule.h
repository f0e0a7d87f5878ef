#pragma once
// Reads a trained rule for evaluation: its θ, its configuration, and the untrained rule for comparison.
#include <string>

#include "common/config/settings.h"
#include "common/evaluation/few_shot.h"
#include "common/store/files.h"

namespace outerloop::cli {

struct EvaluatedRule {
  store::RuleFile file;
  config::Settings settings;             ///< from its configuration
  evaluation::RuleUnderTest under_test;  ///< with the requested θ; each engine has one thread
  bool averaged = false;
  bool supervised = false;  ///< it trains on labels
};

/// Reads rule.h5 or a checkpoint. `average`: takes the running average of θ where there is one. Throws
/// InputError: what read_rule throws, or a rule that trains on labels, unless `supervised_too`.
EvaluatedRule read_evaluated_rule(const std::string& path, bool average, bool supervised_too = false);

}  // namespace outerloop::cli
