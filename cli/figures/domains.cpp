#include "cli/figures/domains.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <vector>

#include "cli/figures/figure_parts.h"
#include "cli/support/few_shot_tables.h"
#include "common/base/error.h"

namespace outerloop::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Trajectory {
  std::string name;
  std::map<std::int64_t, EvaluatedRule> rules;  ///< by update
};

/// The files of a run directory, or the rule file itself.
std::vector<std::string> rule_files(const std::string& run) {
  if (!fs::is_directory(run)) return {run};
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator entry(run + "/snapshots", error), end; !error && entry != end;
       entry.increment(error))
    if (entry->path().extension() == ".h5") files.push_back(entry->path().string());
  if (files.empty())
    throw InputError(run +
                     ": keeps no snapshots of θ; set checkpoint.theta_snapshots when the run starts, or "
                     "give its rule.h5 as one point");
  std::sort(files.begin(), files.end());
  files.push_back(rule_of_run(run));
  return files;
}

std::vector<Trajectory> read_trajectories(const FigureRequest& request) {
  std::vector<Trajectory> trajectories;
  const auto names = run_names(request.runs);
  for (std::size_t i = 0; i < request.runs.size(); ++i) {
    Trajectory trajectory{names[i], {}};
    for (const auto& file : rule_files(request.runs[i])) {
      auto rule = read_evaluated_rule(
          file, {request.study.theta == "average", false, request.study.base_model.features});
      const auto update = rule.file.update;
      trajectory.rules.insert_or_assign(update, std::move(rule));
    }
    trajectories.push_back(std::move(trajectory));
  }
  return trajectories;
}

/// The table row of `method`.
evaluation::FewShotRow row_of(const evaluation::FewShotTable& table, const std::string& method) {
  const auto row = std::find_if(table.rows.begin(), table.rows.end(),
                                [&](const evaluation::FewShotRow& r) { return r.method == method; });
  OUTERLOOP_CHECK(row != table.rows.end(), "no row of " + method);
  return *row;
}

json curve_of(const Trajectory& trajectory, const evaluation::FewShotData& data,
              const evaluation::FewShotOptions& options) {
  json points = json::array();
  for (const auto& [update, rule] : trajectory.rules) {
    const auto table = evaluate_with_progress(
        rule, data, options, fmt::format("{}, {} at update {}", data.name, trajectory.name, update));
    const auto row = row_of(table, "rule");
    points.push_back({{"update", update},
                      {"accuracy", row.accuracy},
                      {"ci95", row.ci95},
                      {"minus_random", row.minus_random},
                      {"minus_random_ci95", row.minus_random_ci95}});
  }
  return {{"run", trajectory.name}, {"points", points}};
}

}  // namespace

std::string rule_of_run(const std::string& run) {
  std::error_code error;
  return fs::is_directory(run, error) ? run + "/rule.h5" : run;
}

json domains(const FigureRequest& request) {
  const auto trajectories = read_trajectories(request);
  auto options = few_shot_options(request.study, request.rule.settings);
  json datasets = json::array();
  for (const auto& dataset : evaluated_datasets(request.study, request.rule)) {
    const auto data = open_study_data(dataset, request.rule.settings);
    options.methods = {"random", "pixels", "pca", "kmeans"};
    json entry = {
        {"dataset", data.name}, {"size", data.size}, {"labels_per_class", options.labels_per_class}};
    const json baselines = to_json(evaluate_with_progress(request.rule, data, options, data.name));
    entry["base_model"] = baselines.at("base_model");
    entry["baselines"] = baselines.at("rows");
    options.methods = {"rule", "random"};
    for (const auto& trajectory : trajectories)
      entry["curves"].push_back(curve_of(trajectory, data, options));
    datasets.push_back(entry);
  }
  return {{"runs", request.runs}, {"inner_steps", options.inner_steps}, {"datasets", datasets}};
}

}  // namespace outerloop::cli
