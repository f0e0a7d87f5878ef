#pragma once
// What `outerloop evaluate` does for one dataset, for the table and for figures alike.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "common/config/settings.h"
#include "common/evaluation/few_shot.h"
#include "common/store/files.h"

namespace outerloop::cli {

/// A learned rule as evaluations use it.
struct EvaluatedRule {
  store::RuleFile file;
  config::Settings settings;             ///< of its configuration
  evaluation::RuleUnderTest under_test;  ///< with the θ that was asked for; engines of one thread each
  bool averaged = false;
};

/// Throws InputError: what read_rule throws, or a rule that trains on labels.
EvaluatedRule read_evaluated_rule(const std::string& path, bool average);

/// NAME[:PATH] on the command line, or what the rule's configuration names; at each of the sizes. Throws
/// InputError where there is none.
std::vector<data::DatasetRequest> evaluated_datasets(const EvaluateOptions& options,
                                                     const config::Settings& settings);

/// Throws InputError for a method or read-out that does not exist.
evaluation::FewShotOptions few_shot_options(const EvaluateOptions& options, const config::Settings& settings);

/// evaluation::evaluate_few_shot, with its progress on the terminal after `what`.
evaluation::FewShotTable evaluate_with_progress(const EvaluatedRule& rule,
                                                const evaluation::FewShotData& data,
                                                const evaluation::FewShotOptions& options,
                                                const std::string& what);

nlohmann::json to_json(const evaluation::FewShotTable& table);
void print(const evaluation::FewShotTable& table);

}  // namespace outerloop::cli
