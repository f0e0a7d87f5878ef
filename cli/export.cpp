// outerloop export: θ for other programs.
#include "cli/export.h"

#include <fmt/format.h>

#include <cstdio>

#include "cli/rule_flags.h"
#include "common/rule/error.h"
#include "common/store/atomic_file.h"
#include "common/store/safetensors.h"

namespace outerloop::cli {

CLI::App* add_export(CLI::App& app, ExportOptions& options) {
  auto* command = app.add_subcommand("export", "Writes a rule for programs that do not read rule.h5.");
  add_rule(*command, options.rule);
  command->add_option("--safetensors", options.safetensors,
                      "θ as plain tensors, for the package safetensors");
  add_theta(*command, options.theta);
  return command;
}

int export_rule(const ExportOptions& options) {
  if (options.safetensors.empty())
    throw InputError("export: nothing to write is named; give --safetensors FILE");
  const auto rule = store::read_rule(options.rule);
  // Where no average was kept there is but one θ.
  const bool average = options.theta == "average" && !rule.theta_average.empty();
  const auto& theta = average ? rule.theta_average : rule.theta;
  store::write_file_atomically(options.safetensors,
                               store::safetensors_of(rule, theta, average ? "average" : "last"));
  fmt::print("{}: {} tensors, {} numbers, {} after {} updates, {}\n", options.safetensors,
             rule.layout.tensors().size(), rule.layout.size(), rule.rule, rule.update,
             average ? "running average of θ" : "last θ");
  return 0;
}

}  // namespace outerloop::cli
