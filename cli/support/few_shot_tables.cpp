#include "cli/support/few_shot_tables.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "cli/support/progress.h"

namespace outerloop::cli {

using nlohmann::json;

evaluation::FewShotTable evaluate_with_progress(const EvaluatedRule& rule,
                                                const evaluation::FewShotData& data,
                                                const evaluation::FewShotOptions& options,
                                                const std::string& what) {
  Progress progress;
  return evaluation::evaluate_few_shot(rule.under_test, data, options,
                                       [&](std::int64_t done, std::int64_t total) {
                                         progress.show(fmt::format("{}: draw {} of {}", what, done, total));
                                       });
}

json to_json(const evaluation::FewShotTable& table) {
  json rows = json::array();
  for (const auto& row : table.rows) {
    rows.push_back({{"method", row.method},
                    {"readout", row.readout},
                    {"setting", row.setting},
                    {"lambda", row.lambda > 0.0 ? json(row.lambda) : json()},
                    {"accuracy", row.accuracy},
                    {"ci95", row.ci95},
                    {"minus_random", row.minus_random},
                    {"minus_random_ci95", row.minus_random_ci95},
                    {"accuracy_by_draw", row.by_draw}});
    if (std::isfinite(row.rule_minus)) {
      rows.back()["rule_minus"] = row.rule_minus;
      rows.back()["rule_minus_ci95"] = row.rule_minus_ci95;
    }
    if (row.steps > 0) rows.back()["steps"] = row.steps;
    if (!std::isfinite(row.loss)) continue;
    rows.back()["loss"] = row.loss;
    rows.back()["loss_ci95"] = row.loss_ci95;
  }
  return {{"dataset", table.dataset},
          {"size", table.size},
          {"labels_per_class", table.labels_per_class},
          {"base_model", table.base_model},
          {"inner_steps", table.inner_steps},
          {"minibatch", table.minibatch},
          {"draws", table.draws},
          {"unlabelled_examples", table.unlabelled},
          {"test_examples", table.tested},
          {"groups", table.groups},
          {"rows", rows}};
}

void print(const evaluation::FewShotTable& table) {
  fmt::print(
      "\n{}{}{}, {} labelled examples per class, base model {}, {} inner steps, {} draws\n"
      "  {} unlabelled examples, {} in an inner step; {} test examples; 95 % intervals over draws, "
      "hyper-parameters from other draws\n",
      table.dataset, table.size > 0 ? fmt::format(" at {0}x{0}", table.size) : "",
      table.groups > 1 ? fmt::format(", mean of {} worlds", table.groups) : "", table.labels_per_class,
      table.base_model, table.inner_steps, table.draws, table.unlabelled, table.minibatch, table.tested);
  const auto difference = [](bool shown, double mean, double half_width) {
    return shown ? fmt::format("{:+.3f} ± {:.3f}", mean, half_width) : "";
  };
  fmt::print("  {:<20}{:<14}{:>8}{:>20}{:>18}{:>18}   {}\n", "method", "read-out", "accuracy",
             "95 % interval", "minus random", "rule minus it", "chosen");
  for (const auto& row : table.rows) {
    std::string chosen = row.lambda > 0.0 ? fmt::format("λ {:g}", row.lambda) : "";
    if (!row.setting.empty()) chosen = row.setting + (chosen.empty() ? "" : ", ") + chosen;
    // Vectors have no pixels.
    const std::string method = table.size == 0 && row.method == "pixels" ? "raw inputs" : row.method;
    fmt::print("  {:<20}{:<14}{:>8.3f}{:>20}{:>18}{:>18}   {}\n", method, row.readout, row.accuracy,
               fmt::format("{:.3f} to {:.3f}", row.accuracy - row.ci95, row.accuracy + row.ci95),
               difference(row.method != "random", row.minus_random, row.minus_random_ci95),
               difference(row.method != "rule" && std::isfinite(row.rule_minus), row.rule_minus,
                          row.rule_minus_ci95),
               chosen);
  }
  std::fflush(stdout);
}

}  // namespace outerloop::cli
