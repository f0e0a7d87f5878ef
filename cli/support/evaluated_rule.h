#pragma once
// Reads a trained rule for evaluation: its θ, its configuration, and the untrained rule for comparison.
#include <string>

#include "common/config/settings.h"
#include "common/evaluation/few_shot.h"
#include "common/store/files.h"

namespace outerloop::cli {

/// Whether a file lies in a run directory of this user's: RUN, RUN/checkpoints or RUN/snapshots. What is
/// elsewhere may be somebody else's, and chooses no folders here.
bool lies_in_own_run(const std::string& path);

struct EvaluatedRule {
  store::RuleFile file;
  config::Settings settings;             ///< from its configuration
  evaluation::RuleUnderTest under_test;  ///< with the requested θ; each engine has one thread
  bool averaged = false;
  bool supervised = false;  ///< it trains on labels
  std::string path;         ///< of its file
  bool of_own_run = true;   ///< it lies in a run directory of this user's
};

/// Reads rule.h5 or a checkpoint. `average`: takes the running average of θ where there is one. Throws
/// InputError: what read_rule throws, or a rule that trains on labels, unless `supervised_too`. If the rule
/// may be somebody else's, the folders that its configuration names are not used: the cache is the user's.
EvaluatedRule read_evaluated_rule(const std::string& path, bool average, bool supervised_too = false);

}  // namespace outerloop::cli
