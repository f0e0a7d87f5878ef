#include "cli/support/study.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "common/base/cores.h"
#include "common/base/error.h"
#include "common/data/sources.h"

namespace outerloop::cli {
namespace {

bool holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// The rule, random initialisation and the requested baselines, in the order of the table.
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

void add_study_data(CLI::App& command, StudyOptions& options, const std::string& size_help,
                    const std::string& draws_help) {
  command
      .add_option("--dataset", options.datasets, "NAME[:PATH]; default: those of the rule's configuration")
      ->allow_extra_args(false);
  command.add_option("--size", options.sizes, size_help)->delimiter(',')->allow_extra_args(false);
  command.add_option("--labels", options.labels, "labelled examples per class")->check(CLI::Range(1, 100000));
  command.add_option("--draws", options.draws, draws_help)->check(CLI::Range(2, 100000));
  add_base_model(command, options.base_model);
}

void add_study_run(CLI::App& command, StudyOptions& options) {
  command.add_option("--seed", options.seed, "of all draws");
  add_theta(command, options.theta);
  command.add_option("--threads", options.threads, "draws computed at once; default: one per core")
      ->check(CLI::Range(1, 1024));
}

std::vector<data::DatasetRequest> evaluated_datasets(const StudyOptions& options,
                                                     const config::Settings& settings) {
  std::vector<data::DatasetRequest> named;
  for (const auto& text : options.datasets) named.push_back(data::parse_request(text));
  for (const auto& request : named) data::dataset_kind(request.name);  // rejects unknown ones before any work
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
      request.words_per_example = settings.config.tasks().words_per_example();
      request.scaling = settings.scaling;
      sized.push_back(request);
    }
  return sized;
}

evaluation::FewShotOptions few_shot_options(const StudyOptions& options, const config::Settings& settings) {
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
  const int cores = base::available_cores();
  few_shot.threads = options.threads > 0 ? options.threads : cores;
  return few_shot;
}

}  // namespace outerloop::cli
