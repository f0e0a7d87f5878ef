// outerloop evaluate: few-shot accuracy of a rule beside its baselines.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/commands.h"
#include "cli/progress.h"
#include "common/config/settings.h"
#include "common/rule/error.h"
#include "common/store/files.h"
#include "common/store/metrics.h"
#include "worker/few_shot.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

json to_json(const worker::FewShotTable& table) {
  json rows = json::array();
  for (const auto& row : table.rows)
    rows.push_back({{"method", row.method},
                    {"readout", row.readout},
                    {"lambda", row.lambda},
                    {"accuracy", row.accuracy},
                    {"ci95", row.ci95},
                    {"minus_random", row.minus_random},
                    {"minus_random_ci95", row.minus_random_ci95}});
  return {{"dataset", table.dataset},
          {"size", table.size},
          {"labels_per_class", table.labels_per_class},
          {"base_model", table.base_model},
          {"inner_steps", table.inner_steps},
          {"draws", table.draws},
          {"rows", rows}};
}

void print(const worker::FewShotTable& table) {
  fmt::print("\n{} at {}x{}, {} labelled examples per class, base model {}, {} inner steps, {} draws\n",
             table.dataset, table.size, table.size, table.labels_per_class, table.base_model,
             table.inner_steps, table.draws);
  fmt::print("  {:<12}{:<10}{:>10}{:>20}{:>20}\n", "method", "read-out", "accuracy", "95 % interval",
             "minus random");
  for (const auto& row : table.rows)
    fmt::print("  {:<12}{:<10}{:>10.3f}{:>20}{:>20}\n", row.method, row.readout, row.accuracy,
               fmt::format("{:.3f} to {:.3f}", row.accuracy - row.ci95, row.accuracy + row.ci95),
               row.method == "random"
                   ? ""
                   : fmt::format("{:+.3f} ± {:.3f}", row.minus_random, row.minus_random_ci95));
  std::fflush(stdout);
}

/// NAME[:PATH] on the command line, or what the rule's configuration names.
std::vector<data::DatasetRequest> requests(const EvaluateOptions& options, const config::Settings& settings) {
  std::vector<data::DatasetRequest> result;
  for (const auto& text : options.datasets) {
    const std::size_t colon = text.find(':');
    data::DatasetRequest request;
    request.name = text.substr(0, colon);
    if (colon != std::string::npos) request.path = text.substr(colon + 1);
    result.push_back(request);
  }
  if (options.datasets.empty())
    for (const auto& named : settings.evaluation) result.push_back(named.request);
  if (result.empty())
    throw InputError(
        "evaluate: the rule's configuration names no evaluation dataset; give --dataset NAME[:PATH]");
  std::vector<data::DatasetRequest> sized;
  for (auto request : result) {
    auto sizes = options.sizes;
    if (sizes.empty()) sizes = {settings.config.tasks().size()};
    for (const auto size : sizes) {
      request.size = size;
      sized.push_back(request);
    }
  }
  return sized;
}

worker::FewShotOptions few_shot_options(const EvaluateOptions& options, const config::Settings& settings) {
  worker::FewShotOptions few_shot;
  few_shot.labels_per_class = options.labels;
  few_shot.draws = options.draws;
  few_shot.minibatch = settings.config.tasks().minibatch();
  few_shot.seed = options.seed;
  few_shot.inner_steps = options.inner_steps > 0 ? options.inner_steps : settings.evaluation_inner_steps();
  const auto cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  few_shot.threads = options.threads > 0 ? options.threads : cores;
  return few_shot;
}

}  // namespace

int evaluate(const EvaluateOptions& options) {
  // 1. The rule and the configuration that made it.
  const auto file = store::read_rule(options.rule);
  if (file.rule != "neuron_local")
    throw InputError(options.rule + ": few-shot evaluation needs a rule without labels; this is " +
                     file.rule);
  const auto settings = config::settings_from_text(file.config, options.rule + ": /config", {});
  const bool averaged = options.theta == "average" && !file.theta_average.empty();
  const auto& theta = averaged ? file.theta_average : file.theta;
  const auto untrained = rule::initial_theta(file.layout, settings.config.seed());
  auto engine_options = settings.engine;
  engine_options.threads = 1;
  const auto make_engine = [&] { return rule::make_engine(settings.rule, engine_options); };
  fmt::print("{}: {} after {} updates, {} θ\n", options.rule, file.rule, file.update,
             averaged ? "running average of" : "last");

  // 2. A table for every dataset and size.
  const auto few_shot = few_shot_options(options, settings);
  const std::string cache = settings.cache_directory();
  json tables = json::array();
  for (const auto& request : requests(options, settings)) {
    const auto data = worker::open_few_shot_data(request, cache);
    worker::FewShotTable table;
    {
      Progress progress;
      table = worker::evaluate_few_shot(
          make_engine, theta, untrained, data, few_shot, [&](std::int64_t done, std::int64_t total) {
            progress.show(fmt::format("{}: draw {} of {}", data.name, done, total));
          });
    }
    print(table);
    tables.push_back(to_json(table));
  }

  // 3. The same for machines.
  if (!options.json.empty()) {
    const json result = {
        {"rule", options.rule}, {"rule_name", file.rule}, {"update", file.update}, {"tables", tables}};
    store::write_file_atomically(options.json, result.dump(2) + "\n");
  }
  return 0;
}

}  // namespace outerloop::cli
