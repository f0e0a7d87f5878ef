#include "cli/evaluation_setup.h"

#include <fmt/format.h>

namespace outerloop::cli {
namespace {

using coordinator::EvaluationRole;

EvaluationRole role_of(const config::NamedDataset& named) {
  return named.request.classes == data::ClassSplit::held_out ? EvaluationRole::validation
                                                             : EvaluationRole::test;
}

}  // namespace

coordinator::EvaluationOptions evaluation_options(const config::Settings& settings) {
  coordinator::EvaluationOptions options;
  options.every_updates = settings.config.evaluation().every_updates();
  options.tasks = settings.config.evaluation().tasks();
  for (const auto& named : settings.training)
    options.datasets.push_back({named.request.name, EvaluationRole::train});
  for (const auto& named : settings.evaluation)
    options.datasets.push_back({named.request.name, role_of(named)});
  return options;
}

std::string evaluation_description(const config::Settings& settings) {
  const auto options = evaluation_options(settings);
  if (!options.enabled()) return "never";
  std::string datasets;
  for (const auto& dataset : options.datasets)
    datasets += fmt::format("{}{} ({})", datasets.empty() ? "" : ", ", dataset.name,
                            coordinator::evaluation_role_name(dataset.role));
  return fmt::format("every {} updates, {} tasks each of {}", options.every_updates, options.tasks, datasets);
}

std::unique_ptr<evaluation::Evaluator> open_evaluator(const config::Settings& settings,
                                                      const data::TaskDistribution& training,
                                                      rule::Engine& engine,
                                                      std::vector<std::string>& remarks) {
  if (!evaluation_options(settings).enabled()) return nullptr;
  std::vector<std::shared_ptr<const data::Dataset>> datasets;
  for (const auto& weighted : training.datasets()) datasets.push_back(weighted.dataset);
  for (const auto& named : settings.evaluation) {
    auto request = named.request;
    // If a dataset has parts, model selection must not use the part that is reported at the end.
    if (data::has_parts(request.name))
      request.part = role_of(named) == EvaluationRole::test ? data::Part::test : data::Part::train;
    datasets.push_back(data::open_dataset(request, settings.cache_directory(), &remarks));
  }
  evaluation::EvaluatorOptions options;
  options.inner_steps = settings.evaluation_inner_steps();
  options.seed = settings.config.seed();
  return std::make_unique<evaluation::Evaluator>(engine, settings.tasks, datasets, options);
}

}  // namespace outerloop::cli
