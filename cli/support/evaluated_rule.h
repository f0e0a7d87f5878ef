#pragma once
// A trained rule read for evaluation: its θ, its configuration, and the untrained rule beside it.
#include <string>

#include "common/config/settings.h"
#include "common/evaluation/few_shot.h"
#include "common/store/files.h"

namespace outerloop::cli {

struct EvaluatedRule {
  store::RuleFile file;
  config::Settings settings;             ///< of its configuration
  evaluation::RuleUnderTest under_test;  ///< with the θ that was asked for; engines of one thread each
  bool averaged = false;
};

/// Reads rule.h5 or a checkpoint. `average`: takes the running average of θ where there is one. Throws
/// InputError: what read_rule throws, or a rule that trains on labels.
EvaluatedRule read_evaluated_rule(const std::string& path, bool average);

}  // namespace outerloop::cli
