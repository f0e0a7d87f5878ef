#include "cli/apply.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>
#include <set>
#include <utility>

#include "cli/support/evaluated_rule.h"
#include "cli/support/feature_file.h"
#include "cli/support/output_files.h"
#include "cli/support/rule_flags.h"
#include "cli/support/rule_module.h"
#include "cli/support/table_json.h"
#include "common/base/cores.h"
#include "common/base/error.h"
#include "common/base/standard_streams.h"
#include "common/data/rows.h"
#include "common/data/scaling.h"
#include "common/data/sources.h"
#include "common/evaluation/file_features.h"
#include "common/rule/engines/make_engine.h"
#include "common/store/model_file.h"

namespace outerloop::cli {
namespace {

struct ApplyOptions {
  std::string rule, model;  ///< exactly one is set
  std::string input, output, save_model;
  BaseModelOptions base_model;
  std::uint64_t seed = 0;
  std::string scale = "auto";     ///< auto | none | a name of data::ScalingKind
  std::string theta = "average";  ///< average | last
  data::TableOptions table;
  std::string missing;  ///< mean, or empty
  int threads = 0;      ///< 0: one per core
  std::string git_revision;
};

int threads_of(const ApplyOptions& options) {
  return options.threads > 0 ? options.threads : base::available_cores();
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

evaluation::ScalingChoice scaling_choice(const std::string& scale, data::ScalingKind of_rule) {
  evaluation::ScalingChoice choice;
  choice.as_they_are = scale == "none";
  choice.kind = scale == "auto" ? of_rule : data::scaling_of_name(scale);
  choice.images_together = scale == "auto" || scale == "array";
  return choice;
}

std::string scaling_in_words(const evaluation::ScalingChoice& choice, bool images) {
  if (choice.as_they_are) return "not scaled";
  if (images && choice.images_together) return "scaled together";
  return std::string("scaled by ") + data::scaling_name(choice.kind);
}

/// Prints one line if the rule was never trained on data of the input's kind.
void warn_of_other_kind(const ApplyOptions& options, const config::Settings& settings, bool images) {
  const auto kind = images ? data::Domain::images : data::Domain::tables;
  std::set<std::string> seen;
  for (const auto& dataset : settings.training) {
    const auto domain = data::dataset_kind(dataset.request.name).domain;
    if (!domain || *domain == kind) return;
    seen.insert(data::domain_name(*domain));
  }
  if (seen.empty()) return;
  base::print_remark(
      fmt::format("{} was trained on {} only, and {} holds {}; outerloop evaluate --dataset on similar "
                  "labelled data measures whether the features help",
                  options.rule, fmt::join(seen, " and "), options.input, images ? "images" : "vectors"));
}

void print_unknown(const ApplyOptions& options, const data::RowReader& rows) {
  for (const auto& [column, count] : rows.unknown())
    base::print_remark(
        fmt::format("{}: column {}: {} rows with a text that the model has not seen; all of its "
                    "0/1 inputs are 0 there",
                    options.input, column, count));
}

/// Opens the input, and prints remarks about it.
std::unique_ptr<data::RowReader> open_input(const ApplyOptions& options, const data::TableColumns* kept) {
  auto rows = data::open_rows(options.input, options.table, kept);
  for (const std::string& remark : rows->remarks()) base::print_remark(remark);
  return rows;
}

/// Writes the features of all `rows` to the output. Returns the number of rows.
std::int64_t write_rows(const ApplyOptions& options, const rule::KeptModel& model, data::RowReader& rows,
                        rule::Engine* engine) {
  const auto writer = write_features(options.output, model.architecture.outputs());
  const auto count = evaluation::features_of_rows(
      model, rows, threads_of(options), options.input,
      [&](const rule::Matrix& features) { writer->add(features); }, engine);
  writer->finish();
  return count;
}

int apply_rule(const ApplyOptions& options) {
  // 1. Read the rule and open the input.
  const auto rule =
      read_evaluated_rule(options.rule, {options.theta == "average", false, options.base_model.features});
  const auto rows = open_input(options, nullptr);

  // 2. Train a base model on the input.
  const auto base_model = completed(options.base_model, rule.settings);
  const evaluation::ApplyOptions how{base_model.layers, base_model.inner_steps, base_model.minibatch,
                                     options.seed};
  const auto scaling = scaling_choice(options.scale, rule.settings.scaling);
  auto engine_options = rule.settings.engine;
  engine_options.threads = threads_of(options);
  const auto engine = rule::make_engine(rule.settings.rule, engine_options);
  auto model = evaluation::train_on_rows(*engine, rule.under_test.theta, *rows, scaling, how,
                                         threads_of(options), options.input);

  // 3. Write its features, and the model.
  const auto examples = write_rows(options, model, *rows, engine.get());
  warn_of_other_kind(options, rule.settings, rows->images());
  fmt::print("{}: {} examples of {} inputs, {}\n", options.input, examples, rows->inputs(),
             scaling_in_words(scaling, rows->images()));
  if (const auto* columns = rows->columns(); columns != nullptr && !texts_in_words(*columns).empty())
    fmt::print("{}: {}\n", options.input, texts_in_words(*columns));
  fmt::print("{}: {} features of each, after {} inner steps of {} (update {})\n", options.output,
             model.architecture.outputs(), how.inner_steps, options.rule, rule.file.update);
  if (!options.save_model.empty()) {
    store::ModelFile file;
    file.model = std::move(model);
    file.theta = rule.averaged ? "average" : "last";
    file.theta_sha256 = store::theta_sha256(rule.file.layout, rule.file.theta);
    file.update = rule.file.update;
    file.config = rule.file.config;
    if (rows->columns() != nullptr) file.table = table_json(*rows->columns());
    file.examples = examples;
    file.inner_steps = how.inner_steps;
    file.minibatch = how.minibatch;
    file.seed = options.seed;
    file.created = utc_now();
    file.git_revision = options.git_revision;
    store::write_model(options.save_model, file);
    fmt::print("{}: the model, for apply --model\n", options.save_model);
  }
  std::fflush(stdout);
  return 0;
}

/// The engine of a module's model, which it completes; null for other models.
std::unique_ptr<rule::Engine> module_engine(const ApplyOptions& options, store::ModelFile& file) {
  if (!file.model.rule.script) return nullptr;
  auto settings = config::settings_of_rule(file.config, options.model);
  set_module(settings, file.model.rule.script->bytes, options.model + ": /module");
  file.model.rule = settings.rule;
  auto engine_options = settings.engine;
  engine_options.threads = threads_of(options);
  return rule::make_engine(settings.rule, engine_options);
}

int apply_model(const ApplyOptions& options) {
  // 1. Read the model and open the input.
  auto file = store::read_model(options.model);
  const auto engine = module_engine(options, file);
  evaluation::check_input_scaling(file.model.scaling, options.model);
  data::TableColumns columns;
  const data::TableColumns* kept = nullptr;
  if (!file.table.empty()) {
    columns = table_of_json(file.table, options.model);
    columns.replace_missing = columns.replace_missing || options.table.replace_missing;
    kept = &columns;
  }
  const auto rows = open_input(options, kept);

  // 2. Write the features of its rows.
  const auto examples = write_rows(options, file.model, *rows, engine.get());
  print_unknown(options, *rows);
  fmt::print("{}: {} examples of {} inputs, scaled like the model's training data\n", options.input, examples,
             rows->inputs());
  fmt::print("{}: {} features of each, by {} (update {} of {})\n", options.output,
             file.model.architecture.outputs(), options.model, file.update, file.model.rule.name);
  std::fflush(stdout);
  return 0;
}

int apply(ApplyOptions options) {
  if (options.rule.empty() == options.model.empty())
    throw InputError("apply: give RULE to train a base model, or --model to use a saved one");
  require_distinct({options.rule, options.model, options.input}, {options.output, options.save_model});
  options.table.replace_missing = options.missing == "mean";
  return options.model.empty() ? apply_rule(options) : apply_model(options);
}

void add_files(CLI::App& command, ApplyOptions& options) {
  command
      .add_option("--input", options.input,
                  "the input rows: CSV (.csv, .tsv, .txt, .data, also with .gz), NPY (.npy) or HDF5 "
                  "(FILE.h5:/dataset) [examples, inputs]; further axes count as inputs")
      ->required();
  command
      .add_option("--output", options.output,
                  "features [examples, features]: .npy, .csv, .csv.gz, or .h5, as the dataset /features")
      ->required();
  command
      .add_option("--missing", options.missing,
                  "mean: missing values of a CSV file become their column's mean")
      ->default_str("an error")
      ->check(CLI::IsMember({"mean"}));
  command.add_option("--threads", options.threads, "cores to compute on")
      ->default_str("all")
      ->check(CLI::Range(1, 1024));
}

}  // namespace

Command add_apply(CLI::App& app, const std::string& git_revision) {
  const auto options = std::make_shared<ApplyOptions>();
  options->git_revision = git_revision;
  auto* command = app.add_subcommand(
      "apply", "Trains a base model by a rule on your own rows, without labels, and writes their features.");
  auto* rule = command->add_option("RULE", options->rule, "rule.h5, or a checkpoint; not with --model");
  auto* model = command->add_option("--model", options->model,
                                    "compute features by this model of --save-model, without training");
  add_files(*command, *options);
  std::vector<CLI::Option*> of_training{rule};
  of_training.push_back(command->add_option("--save-model", options->save_model,
                                            "save the base model to this file, for --model and export"));
  add_base_model(*command, options->base_model);
  for (const char* name : {"--layers", "--features", "--inner-steps", "--minibatch"})
    of_training.push_back(command->get_option(name));
  of_training.push_back(command->add_option("--seed", options->seed, "for initialisation and minibatches")
                            ->capture_default_str());
  of_training.push_back(command
                            ->add_option("--scale", options->scale,
                                         "scaling of inputs to 0..1: quantiles, ranks or columns (each "
                                         "column by itself), array (all together), none; auto: as in the "
                                         "rule's training (inputs.scaling), array for inputs with more axes")
                            ->check(CLI::IsMember({"auto", "quantiles", "ranks", "columns", "array", "none"}))
                            ->capture_default_str());
  of_training.push_back(
      command
          ->add_option("--drop", options->table.drop,
                       "a column of a CSV file to leave out, by name or number; may be repeated")
          ->allow_extra_args(false));
  of_training.push_back(command->add_option("--labels", options->table.labels,
                                            "the column of a CSV file with labels, which is left out"));
  add_theta(*command, options->theta);
  of_training.push_back(command->get_option("--theta"));
  for (auto* option : of_training) option->excludes(model);
  return {command, [options] { return apply(*options); }};
}

}  // namespace outerloop::cli
