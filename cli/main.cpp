// The one executable. Exit codes: 0 success, 1 failure while running, 2 bad usage or input.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "cli/apply.h"
#include "cli/bench/bench.h"
#include "cli/commands.h"
#include "cli/data.h"
#include "cli/doctor.h"
#include "cli/export.h"
#include "cli/figures/figure.h"
#include "cli/figures/plot.h"
#include "cli/inspect.h"
#include "cli/rule_flags.h"
#include "cli/version.h"
#include "common/base/error.h"

namespace {

using namespace outerloop::cli;

constexpr int kFailure = 1;
constexpr int kUsage = 2;

/// Under mpirun or srun every rank parses the same flags: one of them says what is wrong.
bool first_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"})
    if (const char* rank = std::getenv(name)) return std::string(rank) == "0";
  return true;
}

CLI::App* add_train(CLI::App& app, TrainOptions& options) {
  auto* command = app.add_subcommand(
      "train",
      "Meta-trains an update rule. Under mpirun rank 0 coordinates and the others work; alone it does both.");
  command->add_option("CONFIG", options.config, "a preset (see configs/) or a file in protobuf text format")
      ->default_str("laptop");
  command->add_option("--run-dir", options.run_directory, "where everything is written")
      ->default_str("runs/<config>");
  command->add_flag("--resume", options.resume, "go on from the last complete checkpoint of --run-dir");
  command->add_flag("--respawn", options.respawn, "start a new worker in the place of each that is lost");
  command->add_flag("--joinable", options.joinable, "let workers of another mpirun join (Open MPI 4)");
  command->add_option("--join", options.join, "RUN_DIR: work for the run in there, which is --joinable");
  command->add_option("--init-theta", options.init_theta, "start from this rule instead of a random one");
  command->add_option("--set", options.overrides, "key=value, overrides CONFIG; e.g. --set updates=100")
      ->allow_extra_args(false);
  command->add_option("--json", options.json, "also write result.json to this file");
  return command;
}

CLI::App* add_evaluate(CLI::App& app, EvaluateOptions& options) {
  auto* command = app.add_subcommand(
      "evaluate",
      "Few-shot accuracy of base models that a rule has trained without labels, beside its baselines.");
  add_rule(*command, options.rule);
  command
      ->add_option("--dataset", options.datasets, "NAME[:PATH]; default: those of the rule's configuration")
      ->allow_extra_args(false);
  command->add_option("--size", options.sizes, "sides of the images, e.g. 14,28")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--labels", options.labels, "labelled examples per class")
      ->check(CLI::Range(1, 100000));
  command->add_option("--draws", options.draws, "draws in the table")->check(CLI::Range(2, 100000));
  add_base_model(*command, options.base_model);
  command->add_option("--seed", options.seed, "of all draws");
  add_theta(*command, options.theta);
  command->add_option("--threads", options.threads, "draws computed at once; default: one per core")
      ->check(CLI::Range(1, 1024));
  command
      ->add_option(
          "--baselines", options.baselines,
          "all, none, or some of untrained,pixels,pca,kmeans,vae,masked_contrastive,supervised; the rule "
          "and random initialisation are always there")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--readouts", options.readouts, "all, or some of ridge,logistic,nearest_mean,knn5")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--json", options.json, "write the table to this file as JSON");
  return command;
}

}  // namespace

int main(int argc, char** argv) {
  // 1. Describe the commands.
  CLI::App app("Outerloop: distributed meta-training of unsupervised update rules", "outerloop");
  app.set_version_flag("--version", version() + " (" + git_revision() + ")");
  app.require_subcommand(1);
  TrainOptions train_options;
  EvaluateOptions evaluate_options;
  FigureOptions figure_options;
  ApplyCommandOptions apply_options;
  BenchOptions bench_options;
  DataOptions data_options;
  ExportOptions export_options;
  DoctorOptions doctor_options;
  std::vector<std::string> inspect_files;
  bool inspect_config_only = false;
  std::string inspect_json, plot_input, plot_out = "figures";
  const auto* train_command = add_train(app, train_options);
  const auto* evaluate_command = add_evaluate(app, evaluate_options);
  const auto* figure_command = add_figure(app, figure_options);
  const auto* apply_command = add_apply(app, apply_options);
  const auto* export_command = add_export(app, export_options);
  auto* inspect_command = app.add_subcommand("inspect", "Says what a file is, verifies it, compares two.");
  inspect_command->add_option("FILE", inspect_files, "one or two HDF5 files")->required()->expected(1, 2);
  auto* inspect_json_option =
      inspect_command->add_option("--json", inspect_json, "write what is printed to this file as JSON");
  inspect_command
      ->add_flag("--config", inspect_config_only,
                 "print the configuration that made the file, for train to read, and nothing else")
      ->excludes(inspect_json_option);
  auto* plot_command = app.add_subcommand("plot", "Draws figures as PNG and SVG.");
  plot_command
      ->add_option("INPUT", plot_input, "a run directory, evaluate's or a figure's JSON, or a rule.h5")
      ->required();
  plot_command->add_option("--out", plot_out, "folder for the figures")->capture_default_str();
  auto* bench_command = add_bench(app, bench_options);
  auto* data_command = add_data(app, data_options);
  auto* doctor_command =
      app.add_subcommand("doctor", "Says what is right and wrong for a run on this machine.");
  doctor_command->add_option("--dir", doctor_options.folder, "where run directories would be")
      ->capture_default_str();
  doctor_command->add_option("--json", doctor_options.json, "write what is printed to this file as JSON");
  auto commands = app.get_subcommands({});
  for (auto* group : {bench_command, data_command})
    for (auto* below : group->get_subcommands({})) commands.push_back(below);
  for (auto* command : commands)
    command->set_version_flag("--version", version() + " (" + git_revision() + ")");

  // 2. Read the arguments.
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    if (first_rank()) std::fprintf(stderr, "outerloop: %s; see outerloop --help\n", error.what());
    return kUsage;
  }

  // 3. Run one.
  try {
    if (train_command->parsed()) return train(argc, argv, train_options);
    if (evaluate_command->parsed()) return evaluate(evaluate_options);
    if (figure_command->parsed()) return figure(figure_options);
    if (apply_command->parsed()) return apply(apply_options);
    if (export_command->parsed()) return export_rule(export_options);
    if (inspect_command->parsed())
      return inspect_config_only ? inspect_config(inspect_files) : inspect(inspect_files, inspect_json);
    if (plot_command->parsed()) return plot(plot_input, plot_out);
    if (bench_command->parsed()) return bench(*bench_command, bench_options);
    if (data_command->parsed()) return data(*data_command, data_options);
    if (doctor_command->parsed()) return doctor(doctor_options);
  } catch (const outerloop::Error& error) {
    if (error.what()[0] != '\0') std::fprintf(stderr, "outerloop: %s\n", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "outerloop: unexpected failure: %s\n", error.what());
    return kFailure;
  }
  return kUsage;
}
