#include "cli/evaluate_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <thread>

#include "cli/progress.h"
#include "common/base/error.h"
#include "common/rule/engines/make_engine.h"
#include "common/rule/rules.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

bool holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// The rule and random initialisation, and the baselines that were asked for, in the order of the table.
std::vector<std::string> methods(const std::vector<std::string>& asked) {
  for (const auto& name : asked)
    if (!holds({"all", "none"}, name) && (name == "rule" || !holds(evaluation::few_shot_methods(), name)))
      throw InputError(fmt::format(
          "--baselines: there is no baseline '{}'; there are all, none, {}", name,
          fmt::join(evaluation::few_shot_methods().begin() + 1, evaluation::few_shot_methods().end(), ", ")));
  if (asked.size() > 1 && (holds(asked, "all") || holds(asked, "none")))
    throw InputError("--baselines: all and none stand alone");
  std::vector<std::string> result;
  for (const auto& name : evaluation::few_shot_methods())
    if (holds({"rule", "random"}, name) || holds(asked, "all") || holds(asked, name)) result.push_back(name);
  return result;
}

std::vector<baselines::Readout> readouts(const std::vector<std::string>& asked) {
  if (asked.size() == 1 && asked[0] == "all") return baselines::all_readouts();
  std::vector<baselines::Readout> result;
  for (const auto readout : baselines::all_readouts())
    if (holds(asked, baselines::readout_name(readout))) result.push_back(readout);
  for (const auto& name : asked) baselines::readout_of_name(name);
  return result;
}

}  // namespace

EvaluatedRule read_evaluated_rule(const std::string& path, bool average) {
  EvaluatedRule rule;
  rule.file = store::read_rule(path);
  rule.settings = config::settings_from_text(rule.file.config, path + ": /config", {});
  if (rule::rule_kind(rule.settings.rule.name).supervised)
    throw InputError(path + ": few-shot evaluation needs a rule without labels; this is " + rule.file.rule);
  rule.averaged = average && !rule.file.theta_average.empty();
  auto engine = rule.settings.engine;
  engine.threads = 1;
  rule.under_test = {[rule = rule.settings.rule, engine] { return rule::make_engine(rule, engine); },
                     rule.averaged ? rule.file.theta_average : rule.file.theta,
                     rule::initial_theta(rule.file.layout, rule.settings.config.seed())};
  return rule;
}

std::vector<data::DatasetRequest> evaluated_datasets(const EvaluateOptions& options,
                                                     const config::Settings& settings) {
  std::vector<data::DatasetRequest> named;
  for (const auto& text : options.datasets) named.push_back(data::parse_request(text));
  for (const auto& request : named) data::dataset_kind(request.name);  // refuses unknown ones before any work
  if (options.datasets.empty())
    for (const auto& dataset : settings.evaluation) named.push_back(dataset.request);
  if (named.empty())
    throw InputError(
        "evaluate: the rule's configuration names no evaluation dataset; give --dataset NAME[:PATH]");
  auto sizes = options.sizes;
  if (sizes.empty()) sizes = {settings.config.tasks().size()};
  std::vector<data::DatasetRequest> sized;
  for (auto request : named)
    for (const auto size : sizes) {
      request.size = size;
      sized.push_back(request);
    }
  return sized;
}

evaluation::FewShotOptions few_shot_options(const EvaluateOptions& options,
                                            const config::Settings& settings) {
  evaluation::FewShotOptions few_shot;
  few_shot.labels_per_class = options.labels;
  few_shot.draws = options.draws;
  const auto base_model = completed(options.base_model, settings);
  few_shot.hidden = base_model.layers;
  few_shot.inner_steps = base_model.inner_steps;
  few_shot.minibatch = base_model.minibatch;
  few_shot.seed = options.seed;
  few_shot.methods = methods(options.baselines);
  few_shot.readouts = readouts(options.readouts);
  const auto cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  few_shot.threads = options.threads > 0 ? options.threads : cores;
  return few_shot;
}

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
          {"rows", rows}};
}

void print(const evaluation::FewShotTable& table) {
  fmt::print(
      "\n{}{}, {} labelled examples per class, base model {}, {} inner steps, {} draws\n"
      "  {} unlabelled examples, {} in an inner step; {} test examples; 95 % intervals over draws, "
      "hyper-parameters from other draws\n",
      table.dataset, table.size > 0 ? fmt::format(" at {0}x{0}", table.size) : "", table.labels_per_class,
      table.base_model, table.inner_steps, table.draws, table.unlabelled, table.minibatch, table.tested);
  const auto difference = [](bool shown, double mean, double half_width) {
    return shown ? fmt::format("{:+.3f} ± {:.3f}", mean, half_width) : "";
  };
  fmt::print("  {:<20}{:<14}{:>8}{:>20}{:>18}{:>18}   {}\n", "method", "read-out", "accuracy",
             "95 % interval", "minus random", "rule minus it", "chosen");
  for (const auto& row : table.rows) {
    std::string chosen = row.lambda > 0.0 ? fmt::format("λ {:g}", row.lambda) : "";
    if (!row.setting.empty()) chosen = row.setting + (chosen.empty() ? "" : ", ") + chosen;
    fmt::print("  {:<20}{:<14}{:>8.3f}{:>20}{:>18}{:>18}   {}\n", row.method, row.readout, row.accuracy,
               fmt::format("{:.3f} to {:.3f}", row.accuracy - row.ci95, row.accuracy + row.ci95),
               difference(row.method != "random", row.minus_random, row.minus_random_ci95),
               difference(row.method != "rule" && std::isfinite(row.rule_minus), row.rule_minus,
                          row.rule_minus_ci95),
               chosen);
  }
  std::fflush(stdout);
}

}  // namespace outerloop::cli
