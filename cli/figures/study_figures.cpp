#include "cli/figures/study_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/figures/chart_panels.h"
#include "cli/figures/colours.h"
#include "cli/figures/figure_parts.h"
#include "common/base/error.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;
using Paths = std::vector<std::string>;
/// Creates the folder and returns the stem of the output files; called once all input has been read.
using Stem = std::function<std::string()>;

constexpr double kLineHeight = 400.0, kShortLineHeight = 260.0;
constexpr double kMargin = 16.0, kHeader = 52.0;

std::string shape_of(const AccuracyTable& table) {
  return table.size > 0 ? fmt::format("{0}, {1} × {1}", table.dataset, table.size) : table.dataset;
}

/// The read-out to draw: ridge if there is one.
bool drawn(const AccuracyRow& row) { return row.readout == "ridge" || row.readout.empty(); }

Series& series_of(std::vector<Series>& series, const std::string& method, bool images) {
  const std::string name = method_label(method, images);
  for (auto& s : series)
    if (s.name == name) return s;
  series.emplace_back();
  series.back().name = name;
  series.back().colour = method_colour(method);
  series.back().width = method == "rule" ? 2.5 : 1.8;
  series.back().dots = true;
  return series.back();
}

void add_point(Series& series, double x, double y, double error) {
  series.x.push_back(x);
  series.y.push_back(100.0 * y);
  series.error.push_back(100.0 * error);
}

/// Gives every line a colour of its own: those that are grey as bars have hues here.
void tell_apart(std::vector<Series>& series) {
  const Colour hues[] = {palette::grey, palette::vermilion, palette::purple, palette::green, palette::text};
  std::size_t next = 0;
  std::vector<Colour> colours;
  for (const auto& s : series) {
    const bool grey = s.colour.red == palette::grey.red && s.colour.green == palette::grey.green;
    colours.push_back(grey ? hues[next++ % std::size(hues)] : s.colour);
  }
  colours = distinct_colours(colours);
  for (std::size_t i = 0; i < series.size(); ++i) series[i].colour = colours[i];
}

Paths render_line_charts(const std::string& stem, const std::string& title,
                         const std::vector<LineChart>& charts) {
  const double rest = kShortLineHeight * static_cast<double>(charts.size() - 1);
  render(stem, kSheetWidth, kLineHeight + rest, title, [&](Canvas& canvas) {
    Box area{0.0, 0.0, kSheetWidth, kLineHeight};
    for (const auto& chart : charts) {
      draw_line_chart(canvas, area, chart);
      area.top += area.height;
      area.height = kShortLineHeight;
    }
  });
  return written(stem);
}

/// Accuracy over numbers of steps; methods without steps are horizontal lines. A second chart if there are
/// losses.
Paths draw_over_steps(const json& figure, const std::string& path, const Stem& stem) {
  const auto table = read_evaluation(path).front();
  const bool images = table.size > 0;
  LineChart accuracy, loss;
  double first = 0.0, last = 0.0;
  for (const auto& row : table.rows) {
    if (row.steps <= 0) continue;
    const auto steps = static_cast<double>(row.steps);
    first = first > 0.0 ? std::min(first, steps) : steps;
    last = std::max(last, steps);
  }
  for (const auto& row : table.rows) {
    if (!drawn(row)) continue;
    auto& series = series_of(accuracy.series, row.method, images);
    if (row.steps > 0) {
      add_point(series, static_cast<double>(row.steps), row.accuracy, row.ci95);
    } else {
      series.dots = false;
      for (const double x : {first, last}) add_point(series, x, row.accuracy, row.ci95);
    }
    if (!std::isfinite(row.loss)) continue;
    auto& losses = series_of(loss.series, row.method, images);
    losses.x.push_back(static_cast<double>(row.steps));
    losses.y.push_back(row.loss);
    losses.error.push_back(row.loss_ci95);
  }
  tell_apart(accuracy.series);
  tell_apart(loss.series);
  accuracy.title = "Few-shot accuracy on " + shape_of(table);
  accuracy.y_label = "accuracy, %";
  accuracy.subtitle = conditions(table, true, false);
  const bool supervised = figure.value("supervised", false);
  loss.title = images ? "Loss, nats per image" : "Loss, nats per example";
  if (supervised) {
    accuracy.title = "Accuracy on new tasks: " + shape_of(table);
    loss.title = "Cross-entropy on new tasks, nats";
    loss.logarithmic = true;
  }
  loss.y_label = "loss";
  for (auto* chart : {&accuracy, &loss}) {
    chart->x_label = supervised ? "inner steps, on labels" : "steps of training without labels";
    chart->logarithmic_x = true;
  }
  const auto horizon = figure.find("training_horizon");
  if (horizon != figure.end() && horizon->is_number() && horizon->get<double>() >= first &&
      horizon->get<double>() <= last)
    accuracy.markers.push_back({horizon->get<double>(), "longest in meta-training"});
  std::vector<LineChart> charts = {accuracy};
  if (!loss.series.empty()) charts.push_back(loss);
  return render_line_charts(stem(), accuracy.title, charts);
}

/// Accuracy over a number that differs from table to table.
Paths draw_over_condition(const json& figure, const std::string& path, const Stem& stem,
                          const std::string& x_label, bool logarithmic) {
  LineChart chart;
  const auto tables = read_evaluation(path);
  for (const auto& table : tables)
    for (const auto& row : table.rows)
      if (drawn(row))
        add_point(series_of(chart.series, row.method, table.size > 0), table.condition_value, row.accuracy,
                  row.ci95);
  tell_apart(chart.series);
  chart.title = "Few-shot accuracy on " + shape_of(tables.front());
  chart.subtitle = conditions(tables.front(), false, true);
  if (const auto trained = figure.find("trained"); trained != figure.end())
    chart.spans.push_back({trained->at("min").get<double>(), trained->at("max").get<double>(),
                           trained->at("label").get<std::string>()});
  chart.x_label = x_label;
  chart.y_label = "accuracy, %";
  chart.logarithmic_x = logarithmic;
  chart.whole_x = true;
  return render_line_charts(stem(), chart.title, {chart});
}

/// One chart of bars, grouped by condition.
Paths draw_groups(const std::string& path, const Stem& stem) {
  const auto tables = read_evaluation(path);
  BarChart all = accuracy_chart(tables.front());
  all.bars.clear();
  all.reference = std::numeric_limits<double>::quiet_NaN();
  for (const auto& table : tables) {
    auto bars = accuracy_chart(table).bars;
    if (!bars.empty()) bars.front().heading = table.condition;
    all.bars.insert(all.bars.end(), bars.begin(), bars.end());
  }
  return render_bars(stem(), all.title, {all});
}

Paths draw_tables(const std::string& path, const Stem& stem) {
  std::vector<BarChart> charts;
  for (const auto& table : read_evaluation(path)) charts.push_back(accuracy_chart(table));
  return render_bars(stem(), "Few-shot accuracy", charts);
}

Paths draw_explained_variance(const json& figure, const Stem& stem) {
  LineChart chart;
  chart.title = "Cumulative explained variance, " + figure.at("dataset").get<std::string>();
  const bool images = figure.value("size", std::int64_t{1}) > 0;
  AccuracyTable of;
  of.inner_steps = figure.value("inner_steps", std::int64_t{0});
  of.draws = figure.value("draws", std::int64_t{0});
  chart.subtitle = conditions(of, false, true);
  chart.x_label = "principal components";
  chart.y_label = "variance explained, %";
  chart.whole_x = true;
  for (const auto& curve : figure.at("curves")) {
    auto& series = series_of(chart.series, curve.at("method").get<std::string>(), images);
    const auto mean = curve.at("cumulative").get<std::vector<double>>();
    const auto error = curve.at("ci95").get<std::vector<double>>();
    for (std::size_t k = 0; k < std::min(mean.size(), error.size()); ++k)
      add_point(series, static_cast<double>(k + 1), mean[k], error[k]);
  }
  tell_apart(chart.series);
  return render_line_charts(stem(), chart.title, {chart});
}

/// A chart for each dataset: a line for each run over its updates, the baselines as horizontal lines.
Paths draw_domains(const json& figure, const Stem& stem) {
  static const Colour colours[] = {palette::blue, palette::green, palette::sky};  // not for baselines
  std::vector<LineChart> charts;
  for (const auto& dataset : figure.at("datasets")) {
    LineChart chart;
    double first = std::numeric_limits<double>::infinity(), last = 0.0;
    std::size_t colour = 0;
    for (const auto& curve : dataset.at("curves")) {
      Series series;
      series.name = charts.empty() ? curve.at("run").get<std::string>() : "";
      series.colour = colours[colour++ % std::size(colours)];
      series.width = 2.2;
      series.dots = true;
      for (const auto& point : curve.at("points")) {
        const auto update = point.at("update").get<double>();
        first = std::min(first, update);
        last = std::max(last, update);
        add_point(series, update, point.at("accuracy").get<double>(), point.at("ci95").get<double>());
      }
      chart.series.push_back(std::move(series));
    }
    for (const auto& row : dataset.at("baselines")) {
      const auto method = row.at("method").get<std::string>();
      auto& series = series_of(chart.series, method, dataset.value("size", std::int64_t{1}) > 0);
      series.dots = false;
      if (!charts.empty()) series.name.clear();
      for (const double x : {first, last})
        add_point(series, x, row.at("accuracy").get<double>(), row.at("ci95").get<double>());
    }
    tell_apart(chart.series);
    chart.title = "Few-shot accuracy on " + dataset.at("dataset").get<std::string>();
    AccuracyTable of;
    of.labels_per_class = dataset.value("labels_per_class", std::int64_t{0});
    of.base_model = dataset.value("base_model", "");
    of.inner_steps = figure.value("inner_steps", std::int64_t{0});
    of.draws = figure.value("draws", std::int64_t{0});
    chart.subtitle = conditions(of, true, true);
    chart.y_label = "accuracy, %";
    chart.logarithmic_x = true;
    charts.push_back(std::move(chart));
  }
  if (charts.empty()) throw InputError("no datasets");
  charts.back().x_label = "updates of meta-training";
  return render_line_charts(stem(), "Few-shot accuracy over meta-training", charts);
}

void draw_header(Canvas& canvas, const std::string& title, const std::string& subtitle) {
  canvas.text({kMargin, 22.0}, title, fonts::title);
  canvas.text({kMargin, 40.0}, subtitle, fonts::tick, palette::muted);
}

Paths draw_filter_panels(const json& figure, const Stem& stem) {
  std::vector<FilterPanel> panels;
  for (const auto& panel : figure.at("panels"))
    panels.push_back({panel.at("title").get<std::string>(), figure.at("size").get<std::int64_t>(),
                      panel.at("filters").get<std::vector<std::vector<double>>>(), 8});
  if (panels.empty()) throw InputError("no panels");
  const auto count = static_cast<double>(panels.size());
  const double width = (kSheetWidth - kMargin * (count + 1.0)) / count;
  std::size_t most = 1;
  for (const auto& panel : panels) most = std::max(most, panel.filters.size());
  const double height =
      std::ceil(kHeader + 24.0 + std::ceil(static_cast<double>(most) / 8.0) * width / 8.0 + kMargin);
  const std::string to = stem();
  render(to, kSheetWidth, height, "First-layer filters", [&](Canvas& canvas) {
    draw_header(canvas, "First-layer filters",
                "each on a scale of its own; grey is zero, white positive, black negative");
    Box area{kMargin, kHeader, width, height - kHeader};
    for (const auto& panel : panels) {
      draw_filters(canvas, area, panel);
      area.left += width + kMargin;
    }
  });
  return written(to);
}

/// A row of panels: a column for each number of steps. The first of a dataset has a legend above it.
struct EmbeddingRow {
  std::vector<ScatterPanel> panels;
  ClassLegend legend;
};

/// For each dataset components 1 and 2, and 1 and 3.
std::vector<EmbeddingRow> embedding_rows(const json& figure) {
  std::vector<EmbeddingRow> rows;
  for (const auto& set : figure.at("embeddings")) {
    const auto name = set.at("dataset").get<std::string>();
    const auto classes = set.at("labels").get<std::vector<std::int32_t>>();
    for (const std::size_t second : {std::size_t{1}, std::size_t{2}}) {
      rows.emplace_back();
      if (second == 1 && set.contains("classes"))
        rows.back().legend = class_legend(classes, set.at("classes").get<std::vector<std::string>>());
      for (const auto& view : set.at("views")) {
        ScatterPanel panel;
        panel.title =
            second == 1 ? fmt::format("{}, {} steps", name, view.at("steps").get<std::int64_t>()) : "";
        panel.x_label = "component 1";
        if (rows.back().panels.empty()) panel.y_label = fmt::format("component {}", second + 1);
        panel.classes = classes;
        for (const auto& point : view.at("points")) {
          const auto numbers = point.get<std::vector<double>>();
          if (numbers.size() > second) panel.points.emplace_back(numbers[0], numbers[second]);
        }
        rows.back().panels.push_back(std::move(panel));
      }
    }
  }
  return rows;
}

Paths draw_embeddings(const json& figure, const Stem& stem) {
  const auto rows = embedding_rows(figure);
  if (rows.empty() || rows.front().panels.empty()) throw InputError("no embeddings");
  std::size_t columns = 1;
  double sheet = kHeader + kMargin;
  for (const auto& row : rows) columns = std::max(columns, row.panels.size());
  const double width =
      (kSheetWidth - kMargin * static_cast<double>(columns + 1)) / static_cast<double>(columns);
  const double height = width + 36.0;
  const double whole = kSheetWidth - 2.0 * kMargin;
  for (const auto& row : rows) sheet += height + legend_height(row.legend, whole);
  const std::string to = stem();
  render(to, kSheetWidth, std::ceil(sheet), "Embeddings", [&](Canvas& canvas) {
    draw_header(canvas, "Test examples in principal components of the features",
                "colours are classes; the learned rule has seen no label");
    Box area{kMargin, kHeader, width, height - 6.0};
    for (const auto& row : rows) {
      draw_class_legend(canvas, {kMargin, area.top, whole, 0.0}, row.legend);
      area.top += legend_height(row.legend, whole);
      area.left = kMargin;
      for (const auto& panel : row.panels) {
        draw_scatter(canvas, area, panel);
        area.left += width + kMargin;
      }
      area.top += height;
    }
  });
  return written(to);
}

Paths draw(const json& figure, const std::string& name, const std::string& path, const Stem& stem) {
  if (name == "sizes") return draw_tables(path, stem);
  if (name == "steps" || name == "vae-decline") return draw_over_steps(figure, path, stem);
  if (name == "widths") return draw_over_condition(figure, path, stem, "units of the one hidden layer", true);
  if (name == "depths") return draw_over_condition(figure, path, stem, "hidden layers", false);
  if (name == "nonlinearities" || name == "permutation" || name == "text") return draw_groups(path, stem);
  if (name == "explained-variance") return draw_explained_variance(figure, stem);
  if (name == "filters") return draw_filter_panels(figure, stem);
  if (name == "embeddings") return draw_embeddings(figure, stem);
  if (name == "domains") return draw_domains(figure, stem);
  throw InputError("there is no figure '" + name + "'");
}

}  // namespace

Paths draw_figure(const std::string& json_path, const std::string& out_dir) {
  const json figure = read_json_file(json_path);
  const auto found = figure.is_object() ? figure.find("figure") : figure.end();
  if (!figure.is_object() || found == figure.end() || !found->is_string())
    throw InputError(json_path + ": is no figure's JSON");
  const auto name = found->get<std::string>();
  try {
    return draw(figure, name, json_path, [&] { return make_stem(out_dir, name.c_str()); });
  } catch (const json::exception& error) {
    throw InputError(json_path + ": cannot be drawn as '" + name + "': " + error.what());
  } catch (const InputError& error) {
    const std::string what = error.what();
    throw InputError(what.rfind(json_path, 0) == 0 ? what : json_path + ": " + what);
  }
}

}  // namespace outerloop::cli
