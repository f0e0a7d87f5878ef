// outerloop evaluate: few-shot accuracy of a rule beside its baselines.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/evaluate_tables.h"
#include "common/store/metrics.h"

namespace outerloop::cli {

using nlohmann::json;

int evaluate(const EvaluateOptions& options) {
  // 1. The rule and the configuration that made it.
  const auto rule = read_evaluated_rule(options.rule, options.theta == "average");
  fmt::print("{}: {} after {} updates, {} θ\n", options.rule, rule.file.rule, rule.file.update,
             rule.averaged ? "running average of" : "last");
  json result = {{"rule", options.rule}, {"rule_name", rule.file.rule}, {"update", rule.file.update}};

  // 2. A table for every dataset and size.
  const auto few_shot = few_shot_options(options, rule.settings);
  result["tables"] = json::array();
  for (const auto& request : evaluated_datasets(options, rule.settings)) {
    const auto data = evaluation::open_few_shot_data(request, rule.settings.cache_directory());
    const auto table = evaluate_with_progress(rule, data, few_shot, data.name);
    print(table);
    result["tables"].push_back(to_json(table));
  }

  // 3. The same for machines.
  if (!options.json.empty()) store::write_file_atomically(options.json, result.dump(2) + "\n");
  return 0;
}

}  // namespace outerloop::cli
