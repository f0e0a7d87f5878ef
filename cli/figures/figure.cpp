#include "cli/figures/figure.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/figures/domains.h"
#include "cli/figures/figure_parts.h"
#include "cli/figures/studies.h"
#include "cli/figures/study_figures.h"
#include "common/base/error.h"
#include "common/store/atomic_file.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

struct FigureOptions {
  std::string name;
  std::vector<std::string> rules;
  StudyOptions study;                ///< draws 0: the figure's own number
  std::vector<std::int64_t> values;  ///< of what the figure varies; empty: the figure's own
  std::string out;                   ///< empty: figures_folder()
};

int figure(const FigureOptions& options) {
  // 1. The request.
  const auto& kind = figure_study(options.name);
  if (options.rules.size() > 1 && !kind.several_runs)
    throw InputError(
        fmt::format("figure {}: takes one rule, {} were given", kind.name, options.rules.size()));
  const std::string out = options.out.empty() ? figures_folder(options.rules.back()) : options.out;
  const auto stem = make_stem(out, kind.name);
  auto study = options.study;
  study.rule = kind.several_runs ? rule_of_run(options.rules.back()) : options.rules.back();
  const auto rule = read_evaluated_rule(
      study.rule, {study.theta == "average", kind.supervised_too, study.base_model.features});
  if (study.draws == 0) study.draws = kind.draws;
  study.baselines = {"none"};
  study.readouts = {"ridge"};

  // 2. The computation.
  const auto begin = std::chrono::steady_clock::now();
  json result = kind.compute({rule, study, options.values, options.rules});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  result["figure"] = kind.name;
  result["rule"] = study.rule;
  result["update"] = rule.file.update;
  result["theta"] = rule.averaged ? "average" : "last";
  result["draws"] = study.draws;
  result["seed"] = study.seed;
  result["seconds"] = seconds.count();

  // 3. Write the result, and draw from the written file.
  const std::string path = stem + ".json";
  store::write_file_atomically(path, result.dump(1) + "\n");
  fmt::print("{}\n", path);
  for (const auto& drawn : draw_figure(path, out)) fmt::print("{}\n", drawn);
  std::fflush(stdout);
  return 0;
}

}  // namespace

Command add_figure(CLI::App& app) {
  const auto options = std::make_shared<FigureOptions>();
  auto& study = options->study;
  study.draws = 0;
  auto* command = app.add_subcommand("figure", "Computes and draws a figure of the paper for a rule.");
  std::string names = "What it shows:";
  for (const auto& kind : figure_studies())
    names += fmt::format("\n  {:<20}{} ({} draws)", kind.name, kind.says, kind.draws);
  command->footer(names);
  command->add_option("NAME", options->name, "which figure, see below")->required();
  command
      ->add_option("RULE", options->rules,
                   "rule.h5, or a checkpoint; domains takes several, and run directories with snapshots of θ")
      ->required();
  add_study_data(*command, study, "side of the images; sizes takes several, e.g. 14,28",
                 "default: see below");
  command->add_option("--values", options->values, "numbers of steps, units or hidden layers to compute")
      ->default_str("the figure's own")
      ->delimiter(',')
      ->check(CLI::Range(0, 100000000))
      ->allow_extra_args(false);
  add_study_run(*command, study);
  command->add_option("--out", options->out, "folder for the figure")
      ->default_str("RUN/figures, or figures for a rule that is in no run");
  return {command, [options] { return figure(*options); }};
}

}  // namespace outerloop::cli
