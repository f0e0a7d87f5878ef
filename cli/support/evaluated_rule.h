#pragma once
// Reads a trained rule for evaluation: its θ, its configuration, and the untrained rule for comparison.
#include <cstdint>
#include <string>

#include "common/config/settings.h"
#include "common/evaluation/few_shot.h"
#include "common/store/files.h"

namespace outerloop::cli {

/// Whether a file lies in a run directory of this user's: RUN, RUN/checkpoints or RUN/snapshots. What is
/// elsewhere may be somebody else's, and chooses no folders here.
bool lies_in_own_run(const std::string& path);

struct EvaluatedRule {
  store::RuleFile file;                  ///< with the requested number of features
  config::Settings settings;             ///< from its configuration
  evaluation::RuleUnderTest under_test;  ///< with the requested θ; each engine has one thread
  bool averaged = false;
  bool supervised = false;  ///< it trains on labels
  std::string path;         ///< of its file
  bool of_own_run = true;   ///< it lies in a run directory of this user's
};

struct RuleReading {
  bool average = true;          ///< take the running average of θ where there is one
  bool supervised_too = false;  ///< accept rules that train on labels
  std::int64_t features = 0;  ///< give base models so many outputs (common/rule/grow.h); 0: the rule's number
};

/// Reads rule.h5 or a checkpoint. Throws InputError: what read_rule throws, a rule that trains on labels, or
/// a number of features that the rule cannot have. If the rule may be somebody else's, the folders that its
/// configuration names are not used: the cache is the user's.
EvaluatedRule read_evaluated_rule(const std::string& path, const RuleReading& reading);

}  // namespace outerloop::cli
