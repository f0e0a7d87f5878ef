#include "cli/evaluate.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/support/few_shot_tables.h"
#include "cli/support/output_files.h"
#include "cli/support/study.h"
#include "cli/support/supervised_tables.h"
#include "common/store/metrics.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

struct EvaluateOptions {
  StudyOptions study;
  std::string json;  ///< also write the table here; empty: no
};

json without_labels(const EvaluatedRule& rule, const StudyOptions& study) {
  const auto few_shot = few_shot_options(study, rule.settings);
  json tables = json::array();
  for (const auto& request : evaluated_datasets(study, rule)) {
    const auto data = open_study_data(request, rule.settings);
    const auto table = evaluate_with_progress(rule, data, few_shot, data.name);
    print(table);
    tables.push_back(to_json(table));
  }
  return {{"tables", tables}};
}

json on_labels(const EvaluatedRule& rule, const StudyOptions& study) {
  const auto tables = supervised_tables(rule, study);
  for (const auto& table : tables) print(table);
  return to_json(tables);
}

int evaluate(const EvaluateOptions& options) {
  const auto& study = options.study;
  auto read = study.datasets;
  read.push_back(study.rule);
  require_distinct(read, {options.json});
  // 1. Read the rule and its configuration.
  const auto rule =
      read_evaluated_rule(study.rule, {study.theta == "average", true, study.base_model.features});
  fmt::print("{}: {} after {} updates, {} θ\n", study.rule, rule.file.rule, rule.file.update,
             rule.averaged ? "running average of" : "last");
  json result = {{"rule", study.rule}, {"rule_name", rule.file.rule}, {"update", rule.file.update}};

  // 2. Compute and print a table for every dataset and size.
  result.update(rule.supervised ? on_labels(rule, study) : without_labels(rule, study));

  // 3. Write the tables as JSON.
  if (!options.json.empty()) store::write_file_atomically(options.json, result.dump(2) + "\n");
  return 0;
}

}  // namespace

Command add_evaluate(CLI::App& app) {
  const auto options = std::make_shared<EvaluateOptions>();
  auto& study = options->study;
  auto* command = app.add_subcommand(
      "evaluate",
      "Few-shot accuracy of base models that a rule has trained without labels, next to baselines; for a "
      "rule that trains on labels, loss and accuracy on new tasks, next to SGD and Adam.");
  add_rule(*command, study.rule);
  add_study_data(*command, study, "sides of the images, e.g. 14,28", "draws in the table");
  add_study_run(*command, study);
  command
      ->add_option("--baselines", study.baselines,
                   "all, none, or some of untrained,pixels,pca,kmeans,vae,masked_contrastive,supervised; the "
                   "rule and random initialisation are always included")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--readouts", study.readouts, "all, or some of ridge,logistic,nearest_mean,knn5")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--json", options->json, "write the table to this file as JSON");
  return {command, [options] { return evaluate(*options); }};
}

}  // namespace outerloop::cli
