#include "cli/figures/figure.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/figures/figure_parts.h"
#include "cli/figures/studies.h"
#include "cli/figures/study_figures.h"
#include "cli/rule_flags.h"
#include "common/base/error.h"
#include "common/store/atomic_file.h"

namespace outerloop::cli {

using nlohmann::json;

CLI::App* add_figure(CLI::App& app, FigureOptions& options) {
  options.study.draws = 0;
  auto& study = options.study;
  auto* command = app.add_subcommand("figure", "Computes and draws a figure of the paper for a rule.");
  std::string names = "What it shows:";
  for (const auto& kind : figure_studies())
    names += fmt::format("\n  {:<20}{} ({} draws)", kind.name, kind.says, kind.draws);
  command->footer(names);
  command->add_option("NAME", options.name, "which figure, see below")->required();
  add_rule(*command, study.rule);
  command->add_option("--dataset", study.datasets, "NAME[:PATH]; default: those of the rule's configuration")
      ->allow_extra_args(false);
  command->add_option("--size", study.sizes, "side of the images; sizes takes several, e.g. 14,28")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--labels", study.labels, "labelled examples per class")->check(CLI::Range(1, 100000));
  command->add_option("--draws", study.draws, "default: see below")->check(CLI::Range(2, 100000));
  add_base_model(*command, study.base_model);
  command
      ->add_option("--values", options.values,
                   "numbers of steps, units or hidden layers to compute, instead of the figure's own")
      ->delimiter(',')
      ->check(CLI::Range(0, 100000000))
      ->allow_extra_args(false);
  command->add_option("--seed", study.seed, "of all draws");
  add_theta(*command, study.theta);
  command->add_option("--threads", study.threads, "draws computed at once; default: one per core")
      ->check(CLI::Range(1, 1024));
  command->add_option("--out", options.out, "folder for the figure")->capture_default_str();
  return command;
}

int figure(const FigureOptions& options) {
  // 1. What is asked for.
  const auto& kind = figure_study(options.name);
  const auto stem = make_stem(options.out, kind.name);
  const auto rule = read_evaluated_rule(options.study.rule, options.study.theta == "average");
  auto study = options.study;
  if (study.draws == 0) study.draws = kind.draws;
  study.baselines = {"none"};
  study.readouts = {"ridge"};

  // 2. Computed.
  const auto begin = std::chrono::steady_clock::now();
  json result = kind.compute({rule, study, options.values});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  result["figure"] = kind.name;
  result["rule"] = study.rule;
  result["update"] = rule.file.update;
  result["theta"] = rule.averaged ? "average" : "last";
  result["draws"] = study.draws;
  result["seed"] = study.seed;
  result["seconds"] = seconds.count();

  // 3. Written, and drawn from what was written.
  const std::string path = stem + ".json";
  store::write_file_atomically(path, result.dump(1) + "\n");
  fmt::print("{}\n", path);
  for (const auto& drawn : draw_figure(path, options.out)) fmt::print("{}\n", drawn);
  std::fflush(stdout);
  return 0;
}

}  // namespace outerloop::cli
