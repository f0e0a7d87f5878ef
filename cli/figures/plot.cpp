#include "cli/figures/plot.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "cli/figures/figure_data.h"
#include "cli/figures/run_figures.h"
#include "cli/figures/study_figures.h"
#include "cli/support/study.h"
#include "common/base/error.h"
#include "common/base/input_file.h"

namespace outerloop::cli {
namespace {

namespace fs = std::filesystem;
using Paths = std::vector<std::string>;

/// JSON begins with a brace, perhaps after a byte order mark; no other input of `plot` does.
bool looks_like_json(const std::string& path) {
  std::ifstream stream(base::require_file(path), std::ios::binary);
  for (const int of_mark : {0xEF, 0xBB, 0xBF})
    if (stream.peek() == of_mark) stream.get();
  char first = 0;
  return static_cast<bool>(stream >> first) && first == '{';
}

void append(const Paths& from, Paths& to) { to.insert(to.end(), from.begin(), from.end()); }

Paths plot_metrics(const std::string& metrics, const std::string& out_dir) {
  Paths paths = draw_learning_curve(metrics, out_dir);
  append(draw_held_out_curve(metrics, out_dir), paths);
  return paths;
}

Paths plot_run(const fs::path& run, const std::string& out_dir) {
  const fs::path metrics = run / "metrics.jsonl", evaluation = run / "evaluation.json";
  Paths paths;
  std::error_code error;
  if (fs::exists(metrics, error)) paths = plot_metrics(metrics.string(), out_dir);
  if (fs::exists(evaluation, error)) append(draw_accuracy(evaluation.string(), out_dir), paths);
  if (paths.empty())
    throw InputError(run.string() +
                     ": holds neither metrics.jsonl nor evaluation.json; give a run directory, "
                     "evaluate's JSON or a rule.h5");
  return paths;
}

Paths plot_file(const std::string& input, const std::string& out_dir) {
  if (fs::path(input).extension() == ".jsonl") return plot_metrics(input, out_dir);
  if (!looks_like_json(input)) return draw_theta_norms(input, out_dir);
  return read_json_file(input).contains("figure") ? draw_figure(input, out_dir)
                                                  : draw_accuracy(input, out_dir);
}

/// Names of the runs in a legend: those of their folders, or the full paths if two folders have the same
/// name.
std::vector<NamedMetrics> named_metrics(const Paths& inputs) {
  std::vector<NamedMetrics> runs;
  std::set<std::string> names;
  std::error_code error;
  for (const auto& input : inputs) {
    fs::path path = fs::path(input).lexically_normal();
    if (path.filename().empty()) path = path.parent_path();  // runs/first/
    const bool folder = fs::is_directory(path, error);
    if (!folder && path.extension() != ".jsonl")
      throw InputError(input +
                       ": several inputs are drawn in one figure where each is a run directory, or its "
                       "metrics.jsonl");
    const fs::path metrics = folder ? path / "metrics.jsonl" : path;
    const fs::path run = fs::absolute(folder ? path : path.parent_path(), error).lexically_normal();
    runs.push_back(
        {(run.filename().empty() ? run.parent_path() : run).filename().string(), metrics.string()});
    names.insert(runs.back().name);
  }
  if (names.size() < runs.size())
    for (std::size_t i = 0; i < runs.size(); ++i) runs[i].name = inputs[i];
  return runs;
}

Paths plot_runs(const Paths& inputs, const std::string& out_dir) {
  return draw_learning_curves(named_metrics(inputs), out_dir);
}

}  // namespace

int plot(const std::vector<std::string>& inputs, const std::string& out_dir) {
  std::error_code error;
  for (const auto& input : inputs)
    if (!fs::exists(input, error)) throw InputError(input + ": no such file or run directory");
  const std::string& first = inputs.front();
  const std::string out = !out_dir.empty() ? out_dir : inputs.size() == 1 ? figures_folder(first) : "figures";
  const Paths paths = inputs.size() > 1                ? plot_runs(inputs, out)
                      : fs::is_directory(first, error) ? plot_run(first, out)
                                                       : plot_file(first, out);
  for (const auto& path : paths) fmt::print("{}\n", path);
  std::fflush(stdout);
  return 0;
}

Command add_plot(CLI::App& app) {
  struct Options {
    std::vector<std::string> inputs;
    std::string out;
  };
  const auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("plot", "Draws figures as PNG, SVG and PDF.");
  command
      ->add_option(
          "INPUT", options->inputs,
          "a run directory, evaluate's or a figure's JSON, or a rule.h5; several runs are drawn in one "
          "figure")
      ->required();
  command->add_option("--out", options->out, "folder for the figures")
      ->default_str("RUN/figures, or figures for what is in no run, or for several");
  return {command, [options] { return plot(options->inputs, options->out); }};
}

}  // namespace outerloop::cli
