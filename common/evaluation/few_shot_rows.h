#pragma once
// Few-shot tables: differences between rows with their intervals, and the mean of several tables.
#include <vector>

#include "common/evaluation/few_shot.h"

namespace outerloop::evaluation {

/// Sets accuracy, minus_random and rule_minus of a row, with their intervals, from its by_draw. `random`,
/// `rule`: by_draw of their rows by the same read-out; `rule` may be empty.
void compare(const std::vector<double>& random, const std::vector<double>& rule, FewShotRow& row);

/// The mean of tables that have the same rows: a draw's accuracy is the mean over the tables, so the
/// intervals are over draws, not over tables. Examples are added up. Where the tables differ, λ is 0, the
/// setting is empty, and the inputs of the base model are d.
FewShotTable mean_table(const std::vector<FewShotTable>& tables);

}  // namespace outerloop::evaluation
