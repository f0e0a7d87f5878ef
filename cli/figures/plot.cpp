#include "cli/figures/plot.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/figures/figure_data.h"
#include "cli/figures/run_figures.h"
#include "cli/figures/study_figures.h"
#include "common/base/error.h"

namespace outerloop::cli {
namespace {

namespace fs = std::filesystem;
using Paths = std::vector<std::string>;

/// JSON begins with a brace, perhaps after a byte order mark; no other input of `plot` does.
bool looks_like_json(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
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

}  // namespace

int plot(const std::string& input, const std::string& out_dir) {
  std::error_code error;
  const auto status = fs::status(input, error);
  if (!fs::exists(status)) throw InputError(input + ": no such file or run directory");
  const Paths paths = fs::is_directory(status) ? plot_run(input, out_dir) : plot_file(input, out_dir);
  for (const auto& path : paths) fmt::print("{}\n", path);
  std::fflush(stdout);
  return 0;
}

Command add_plot(CLI::App& app) {
  struct Options {
    std::string input, out = "figures";
  };
  const auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("plot", "Draws figures as PNG and SVG.");
  command->add_option("INPUT", options->input, "a run directory, evaluate's or a figure's JSON, or a rule.h5")
      ->required();
  command->add_option("--out", options->out, "folder for the figures")->capture_default_str();
  return {command, [options] { return plot(options->input, options->out); }};
}

}  // namespace outerloop::cli
