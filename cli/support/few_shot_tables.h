#pragma once
// The table of a few-shot evaluation: computed with a progress line, printed, and as JSON.
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

/// As evaluate and figure write it.
nlohmann::json to_json(const evaluation::FewShotTable& table);

/// To standard output, as evaluate shows it.
void print(const evaluation::FewShotTable& table);

}  // namespace outerloop::cli
