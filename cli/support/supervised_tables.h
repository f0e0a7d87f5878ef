#pragma once
// Tables of a rule that trains on labels: loss and accuracy on new tasks after the training horizon, and
// after four and ten times as many inner steps, next to SGD, SGD with momentum and Adam. For evaluate and
// figure.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/support/evaluated_rule.h"
#include "cli/support/study.h"
#include "common/evaluation/supervised_study.h"

namespace outerloop::cli {

struct SupervisedTable {
  std::string dataset;        ///< or "training tasks"
  std::int64_t size = 0;      ///< side of the images; 0: vectors, or several kinds
  std::int64_t horizon = 0;   ///< inner steps
  std::int64_t tasks = 0;     ///< evaluation tasks
  std::int64_t tuned_on = 0;  ///< other tasks
  std::vector<evaluation::SupervisedCurve> curves;
};

/// One table per dataset of --dataset; without any, one of new tasks of the training distribution. Progress
/// goes to the terminal. Throws InputError for flags that are only for rules without labels.
std::vector<SupervisedTable> supervised_tables(const EvaluatedRule& rule, const StudyOptions& study);

void print(const SupervisedTable& table);

/// As plot draws it: the figure "steps".
nlohmann::json to_json(const std::vector<SupervisedTable>& tables);

}  // namespace outerloop::cli
