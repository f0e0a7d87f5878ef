#pragma once
// The table of a few-shot evaluation: computes it with a progress line, prints it, converts it to JSON.
#include <nlohmann/json.hpp>
#include <string>

#include "cli/support/evaluated_rule.h"
#include "common/evaluation/few_shot.h"

namespace outerloop::cli {

/// evaluation::evaluate_few_shot, with a progress line on the terminal that begins with `what`.
evaluation::FewShotTable evaluate_with_progress(const EvaluatedRule& rule,
                                                const evaluation::FewShotData& data,
                                                const evaluation::FewShotOptions& options,
                                                const std::string& what);

/// The JSON that evaluate and figure write.
nlohmann::json to_json(const evaluation::FewShotTable& table);

/// Prints the table of evaluate to standard output.
void print(const evaluation::FewShotTable& table);

}  // namespace outerloop::cli
