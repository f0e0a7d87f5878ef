#include "cli/support/study.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "common/base/cores.h"
#include "common/base/error.h"
#include "common/base/standard_streams.h"
#include "common/base/text.h"
#include "common/config/paths.h"
#include "common/data/class_split.h"
#include "common/data/sources.h"
#include "common/rule/device_choice.h"

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

/// True where both read the same files.
bool same_source(const data::DatasetRequest& a, const data::DatasetRequest& b) {
  try {
    return a.name == b.name && data::source_path(a) == data::source_path(b);
  } catch (const InputError&) {  // the training data is not here
    return false;
  }
}

bool is_on_side(const std::string& class_name, data::ClassSplit side) {
  return side == data::ClassSplit::all ||
         data::is_held_out(class_name) == (side == data::ClassSplit::held_out);
}

/// NAME or NAME:PATH, as for --dataset.
std::string request_text(const data::DatasetRequest& request) {
  return request.name + (request.path.empty() ? "" : ":" + request.path);
}

/// Draws side by side: one base model uses a small part of a GPU.
constexpr std::int64_t kLanesOnDevice = 16;
constexpr const char* kByConfiguration = "by the rule's configuration";

}  // namespace

void add_study_data(CLI::App& command, StudyOptions& options, const std::string& size_help,
                    const std::string& draws_help) {
  command
      .add_option(
          "--dataset", options.datasets,
          "NAME[:PATH], then :train or :held_out for the classes on one side of the class split; may be "
          "repeated")
      ->default_str(kByConfiguration)
      ->allow_extra_args(false);
  command.add_option("--size", options.sizes, size_help)
      ->default_str(kByConfiguration)
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--labels", options.labels, "labelled examples per class")->check(CLI::Range(1, 100000));
  auto* draws = command.add_option("--draws", options.draws, draws_help)->check(CLI::Range(2, 100000));
  if (options.draws == 0) draws->default_str("see below");
  add_base_model(command, options.base_model);
}

void add_study_run(CLI::App& command, StudyOptions& options) {
  command.add_option("--seed", options.seed, "of all draws");
  add_theta(command, options.theta);
  command.add_option("--threads", options.threads, "draws computed at once")
      ->default_str("one per core")
      ->check(CLI::Range(1, 1024));
}

const data::DatasetRequest& trusted(const data::DatasetRequest& request, const EvaluatedRule& rule) {
  if (request.path.empty() || rule.of_own_run) return request;
  throw InputError(base::printable(fmt::format(
      "{}: its configuration names the dataset {} at {}, and a path is taken from a rule only in its "
      "run directory; give the data to read: --dataset {}:PATH",
      rule.path, request.name, request.path, request.name)));
}

std::vector<data::DatasetRequest> evaluated_datasets(const StudyOptions& options, const EvaluatedRule& rule) {
  const config::Settings& settings = rule.settings;
  std::vector<data::DatasetRequest> named;
  for (const auto& text : options.datasets) named.push_back(data::parse_request(text));
  for (const auto& request : named) data::dataset_kind(request.name);  // rejects unknown ones before any work
  if (options.datasets.empty())
    for (const auto& dataset : settings.evaluation) named.push_back(trusted(dataset.request, rule));
  if (named.empty())
    throw InputError(
        "evaluate: the rule's configuration names no evaluation dataset; give --dataset "
        "NAME[:PATH][:held_out]");
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

std::vector<std::string> trained_classes(const data::DatasetRequest& request,
                                         const std::vector<std::string>& split_names,
                                         const config::Settings& settings) {
  std::vector<std::string> trained;
  for (const auto& training : settings.training) {
    if (!same_source(training.request, request)) continue;
    for (const auto& name : split_names)
      if (!holds(trained, name) && is_on_side(name, training.request.classes)) trained.push_back(name);
  }
  return trained;
}

void say_trained_classes(const data::DatasetRequest& request, const std::vector<std::string>& split_names,
                         const config::Settings& settings) {
  const auto trained = trained_classes(request, split_names, settings);
  if (trained.empty()) return;
  constexpr std::size_t kMostNamed = 3;
  const auto named = static_cast<std::ptrdiff_t>(std::min(kMostNamed, trained.size()));
  const std::string names = fmt::format("{}{}", fmt::join(trained.begin(), trained.begin() + named, ", "),
                                        trained.size() > kMostNamed ? ", ..." : "");
  const std::size_t others = split_names.size() - trained.size();
  base::print_remark(fmt::format(
      "{}: the rule was trained on {} of its {} classes ({}){}", data::request_label(request), trained.size(),
      split_names.size(), names,
      others == 0 ? ": this is not accuracy on held-out classes"
                  : fmt::format("; {}:held_out selects only the other {}", request_text(request), others)));
}

evaluation::FewShotData open_study_data(const data::DatasetRequest& request,
                                        const config::Settings& settings) {
  auto data = evaluation::open_few_shot_data(request, settings.cache_directory());
  say_trained_classes(request, data.split_names, settings);
  return data;
}

std::string figures_folder(const std::string& input) {
  namespace fs = std::filesystem;
  std::error_code error;
  const std::string run = fs::is_directory(input, error) ? input : config::run_of(input);
  return run.empty() ? "figures" : (fs::path(run) / "figures").lexically_normal().string();
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
  few_shot.lanes = rule::is_cpu(settings.engine.device) ? 1 : kLanesOnDevice;
  return few_shot;
}

}  // namespace outerloop::cli
