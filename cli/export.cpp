#include "cli/export.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/support/output_files.h"
#include "cli/support/rule_flags.h"
#include "cli/support/rule_module.h"
#include "common/base/error.h"
#include "common/config/settings.h"
#include "common/rule/engines/scripted_rule.h"
#include "common/rule/engines/torchscript.h"
#include "common/store/atomic_file.h"
#include "common/store/model_file.h"
#include "common/store/safetensors.h"

namespace outerloop::cli {
namespace {

struct ExportOptions {
  std::string rule;
  std::string safetensors;        ///< file to write; empty: none
  std::string torchscript;        ///< file to write; empty: none
  std::string theta = "average";  ///< average | last
};

/// Metadata of a rule, for both formats.
std::string metadata_of(const store::RuleFile& rule, const char* which) {
  // A path in the configuration may contain bytes that are not UTF-8.
  return nlohmann::ordered_json{{"format", "outerloop"},   {"rule", rule.rule},
                                {"update", rule.update},   {"theta", which},
                                {"created", rule.created}, {"git_revision", rule.git_revision},
                                {"config", rule.config}}
      .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

int export_model(const ExportOptions& options) {
  if (!options.safetensors.empty())
    throw InputError(
        options.rule +
        ": a model can only be exported with --torchscript; docs/numpy.md reads the file directly");
  const auto file = store::read_model(options.rule);
  if (file.model.rule.script)
    throw InputError(options.rule +
                     ": the model of a module is applied with apply --model; export the rule itself");
  const auto metadata = nlohmann::ordered_json{
      {"format", "outerloop"},        {"kind", "model"},
      {"rule", file.model.rule.name}, {"theta_sha256", file.theta_sha256},
      {"created", file.created},      {"git_revision", file.git_revision},
      {"table", file.table}}.dump(2);
  store::write_file_atomically(options.torchscript, rule::model_torchscript_of(file.model, metadata));
  fmt::print("{}: features [examples, {}] of {} inputs, by {}\n", options.torchscript,
             file.model.architecture.outputs(), file.model.architecture.inputs(), options.rule);
  return 0;
}

int export_rule(const ExportOptions& options) {
  if (options.safetensors.empty() && options.torchscript.empty())
    throw InputError("export: no output file; give --safetensors FILE or --torchscript FILE");
  require_distinct({options.rule}, {options.safetensors, options.torchscript});
  if (store::read_kind(options.rule) == store::Kind::model) return export_model(options);
  const auto rule = store::read_rule(options.rule);
  // Without an average there is only one θ.
  const bool average = options.theta == "average" && !rule.theta_average.empty();
  const char* which = average ? "average" : "last";
  const auto& theta = average ? rule.theta_average : rule.theta;
  const auto write = [&](const std::string& path, const std::string& bytes) {
    store::write_file_atomically(path, bytes);
    fmt::print("{}: {} tensors, {} numbers, {} after {} updates, {}\n", path, rule.layout.tensors().size(),
               rule.layout.size(), rule.rule, rule.update, average ? "running average of θ" : "last θ");
  };
  if (!options.safetensors.empty()) write(options.safetensors, store::safetensors_of(rule, theta, which));
  if (!options.torchscript.empty()) {
    auto settings = config::settings_from_text(rule.config, options.rule + ": /config", {});
    auto file = rule;
    set_module(settings, file, options.rule);
    const auto metadata = metadata_of(rule, which);
    write(options.torchscript, file.script ? rule::scripted_module_of(*file.script, theta, metadata)
                                           : rule::torchscript_of(settings.rule, theta, metadata));
  }
  return 0;
}

}  // namespace

Command add_export(CLI::App& app) {
  const auto options = std::make_shared<ExportOptions>();
  auto* command =
      app.add_subcommand("export", "Exports a rule, or a model saved by apply, for other programs.");
  command->add_option("FILE", options->rule, "rule.h5, a checkpoint, or a model of apply --save-model")
      ->required();
  command->add_option("--safetensors", options->safetensors,
                      "θ as plain tensors, for the package safetensors");
  command->add_option("--torchscript", options->torchscript,
                      "a module for torch.jit.load with init, step, calibrate and features, for a model with "
                      "features only; requires LibTorch");
  add_theta(*command, options->theta);
  return {command, [options] { return export_rule(*options); }};
}

}  // namespace outerloop::cli
