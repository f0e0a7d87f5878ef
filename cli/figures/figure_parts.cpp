#include "cli/figures/figure_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "common/base/error.h"

namespace outerloop::cli {
namespace {

constexpr std::size_t kMostParts = 64;  // of a path in a legend

/// With a sign; negative numbers have a typographic minus.
std::string signed_number(double value) {
  const std::string digits = fmt::format("{:.1f}", std::abs(value));
  return (value < 0.0 && digits != "0.0" ? "−" : "+") + digits;
}

std::string accuracy_note(const AccuracyRow& row) {
  std::string note = fmt::format("{:.1f} %", 100.0 * row.accuracy);
  if (std::isfinite(row.ci95)) note += fmt::format(" ± {:.1f}", 100.0 * row.ci95);
  if (row.method == "random" || !std::isfinite(row.minus_random)) return note;
  note += "   (" + signed_number(100.0 * row.minus_random);
  if (std::isfinite(row.minus_random_ci95)) note += fmt::format(" ± {:.1f}", 100.0 * row.minus_random_ci95);
  return note + ")";
}

}  // namespace

std::string make_stem(const std::string& out_dir, const char* name) {
  std::error_code error;
  std::filesystem::create_directories(out_dir, error);
  if (error) throw InputError(out_dir + ": the folder for figures cannot be made: " + error.message());
  return (std::filesystem::path(out_dir) / name).string();
}

std::vector<std::string> written(const std::string& stem) {
  return {stem + ".png", stem + ".svg", stem + ".pdf"};
}

std::vector<std::string> run_names(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  // Parts of each path, the last one first; relative to the working directory, which they have in common.
  std::vector<std::vector<std::string>> parts;
  std::vector<std::string> names;
  for (const auto& path : paths) {
    fs::path whole = fs::path(path).lexically_normal();
    if (whole.filename().empty()) whole = whole.parent_path();  // runs/first/
    if (whole.extension() == ".h5") whole.replace_extension();
    parts.emplace_back();
    for (const auto& part : whole) parts.back().insert(parts.back().begin(), part.string());
    names.push_back(parts.back().front());
  }
  const auto same = [&](std::size_t i) { return std::count(names.begin(), names.end(), names[i]) > 1; };
  for (std::size_t depth = 1; depth <= kMostParts; ++depth) {
    std::vector<std::string> longer = names;
    for (std::size_t i = 0; i < names.size(); ++i)
      if (same(i) && depth < parts[i].size()) longer[i] = (fs::path(parts[i][depth]) / names[i]).string();
    if (longer == names) break;
    names = std::move(longer);
  }
  return names;
}

std::string method_label(const std::string& method, bool images) {
  const std::map<std::string, std::string> labels = {{"rule", "learned rule"},
                                                     {"untrained", "untrained rule"},
                                                     {"random", "random initialisation"},
                                                     {"pixels", images ? "raw pixels" : "raw inputs"},
                                                     {"pca", "PCA"},
                                                     {"kmeans", "k-means"},
                                                     {"vae", "VAE"},
                                                     {"masked_contrastive", "masked contrastive"},
                                                     {"supervised", "supervised"},
                                                     {"sgd", "SGD"},
                                                     {"momentum", "SGD with momentum"},
                                                     {"adam", "Adam"}};
  const auto found = labels.find(method);
  return found == labels.end() ? method : found->second;
}

Colour method_colour(const std::string& method) {
  if (method == "rule") return palette::blue;
  if (method == "untrained") return palette::sky;
  if (method == "random") return palette::orange;
  if (method == "supervised") return palette::green;
  return palette::grey;
}

std::string conditions(const AccuracyTable& table, bool base_model, bool inner_steps) {
  std::vector<std::string> parts;
  if (table.labels_per_class > 0) parts.push_back(fmt::format("{} labels per class", table.labels_per_class));
  if (base_model && !table.base_model.empty()) parts.push_back("base model " + table.base_model);
  if (inner_steps && table.inner_steps > 0) parts.push_back(fmt::format("{} inner steps", table.inner_steps));
  if (table.draws > 0) parts.push_back(fmt::format("mean and 95 % interval over {} draws", table.draws));
  return fmt::format("{}", fmt::join(parts, "; "));
}

BarChart accuracy_chart(const AccuracyTable& table) {
  BarChart chart;
  chart.title = "Few-shot accuracy on " + table.dataset;
  if (table.size > 0) chart.title += fmt::format(", {0} × {0}", table.size);
  chart.x_label = "accuracy, %";
  const auto ridge = [](const AccuracyRow& row) { return row.readout == "ridge" || row.readout.empty(); };
  const bool only_ridge = std::any_of(table.rows.begin(), table.rows.end(), ridge);
  for (const auto& row : table.rows) {
    if (only_ridge && !ridge(row)) continue;
    Bar bar;
    bar.label = method_label(row.method, table.size > 0) + (only_ridge ? "" : ", " + row.readout);
    bar.value = 100.0 * row.accuracy;
    bar.error = 100.0 * row.ci95;
    bar.note = accuracy_note(row);
    bar.colour = method_colour(row.method);
    if (row.method == "random") chart.reference = bar.value;
    chart.bars.push_back(bar);
  }
  chart.subtitle = conditions(table, true, true);
  if (std::isfinite(chart.reference))
    chart.subtitle +=
        chart.subtitle.empty() ? "in brackets: minus random, paired" : "; in brackets: minus random, paired";
  return chart;
}

std::vector<std::string> render_bars(const std::string& stem, const std::string& title,
                                     std::vector<BarChart> charts) {
  std::vector<std::string> labels, notes;
  double height = 0.0, maximum = 0.0;
  for (const auto& chart : charts) {
    height += bar_chart_height(chart);
    for (const auto& bar : chart.bars) {
      labels.push_back(bar.label);
      notes.push_back(bar.note);
      const double error = std::isfinite(bar.error) ? bar.error : 0.0;
      if (std::isfinite(bar.value)) maximum = std::max(maximum, bar.value + error);
    }
  }
  render(stem, kSheetWidth, height, title, [&](Canvas& canvas) {
    const double label_width = widest(canvas, labels, fonts::label),
                 note_width = widest(canvas, notes, fonts::tick);
    Box area{0.0, 0.0, kSheetWidth, 0.0};
    for (auto& chart : charts) {
      chart.maximum = maximum;
      area.height = bar_chart_height(chart);
      draw_bar_chart(canvas, area, chart, label_width, note_width);
      area.top += area.height;
    }
  });
  return written(stem);
}

}  // namespace outerloop::cli
