#include "common/evaluation/few_shot_rows.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "common/base/error.h"
#include "common/evaluation/interval.h"

namespace outerloop::evaluation {
namespace {

/// a − b within draws.
Interval paired(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> differences(a.size());
  std::transform(a.begin(), a.end(), b.begin(), differences.begin(), std::minus<>());
  return interval(differences);
}

/// by_draw of the only row of this method and read-out; empty if there is not exactly one.
std::vector<double> draws_of(const std::vector<FewShotRow>& rows, const char* method,
                             const std::string& readout) {
  std::vector<double> draws;
  for (const FewShotRow& row : rows) {
    if (row.method != method || row.readout != readout) continue;
    if (!draws.empty()) return {};
    draws = row.by_draw;
  }
  return draws;
}

/// Row `place` of all tables, without the values that compare() sets.
FewShotRow mean_row(const std::vector<FewShotTable>& tables, std::size_t place) {
  FewShotRow mean = tables.front().rows.at(place);
  const auto share = 1.0 / static_cast<double>(tables.size());
  std::fill(mean.by_draw.begin(), mean.by_draw.end(), 0.0);
  mean.loss = 0.0;
  double squares = 0.0;
  for (const FewShotTable& table : tables) {
    const FewShotRow& row = table.rows.at(place);
    OUTERLOOP_CHECK(row.method == mean.method && row.readout == mean.readout && row.steps == mean.steps,
                    row.method + ", " + row.readout + " beside " + mean.method + ", " + mean.readout);
    OUTERLOOP_CHECK_EQ(row.by_draw.size(), mean.by_draw.size());
    for (std::size_t i = 0; i < mean.by_draw.size(); ++i) mean.by_draw[i] += share * row.by_draw[i];
    if (row.lambda != mean.lambda) mean.lambda = 0.0;
    if (row.setting != mean.setting) mean.setting.clear();
    mean.loss += share * row.loss;
    squares += row.loss_ci95 * row.loss_ci95;
  }
  mean.loss_ci95 = share * std::sqrt(squares);
  return mean;
}

}  // namespace

void compare(const std::vector<double>& random, const std::vector<double>& rule, FewShotRow& row) {
  const Interval own = interval(row.by_draw), above_random = paired(row.by_draw, random);
  row.accuracy = own.mean;
  row.ci95 = own.half_width;
  row.minus_random = above_random.mean;
  row.minus_random_ci95 = above_random.half_width;
  if (rule.empty()) return;
  const Interval below_rule = paired(rule, row.by_draw);
  row.rule_minus = below_rule.mean;
  row.rule_minus_ci95 = below_rule.half_width;
}

FewShotTable mean_table(const std::vector<FewShotTable>& tables) {
  FewShotTable mean = tables.at(0);
  mean.groups = static_cast<std::int64_t>(tables.size());
  mean.unlabelled = mean.tested = 0;
  for (const FewShotTable& table : tables) {
    OUTERLOOP_CHECK_EQ(table.rows.size(), mean.rows.size());
    mean.unlabelled += table.unlabelled;
    mean.tested += table.tested;
    if (table.base_model != mean.base_model)
      mean.base_model = "d" + table.base_model.substr(table.base_model.find('-'));
  }
  for (std::size_t i = 0; i < mean.rows.size(); ++i) mean.rows[i] = mean_row(tables, i);
  for (FewShotRow& row : mean.rows)
    compare(draws_of(mean.rows, "random", row.readout), draws_of(mean.rows, "rule", row.readout), row);
  return mean;
}

}  // namespace outerloop::evaluation
