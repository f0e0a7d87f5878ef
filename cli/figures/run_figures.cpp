#include "cli/figures/run_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <limits>
#include <map>

#include "cli/figures/chart.h"
#include "cli/figures/colours.h"
#include "cli/figures/figure_data.h"
#include "cli/figures/figure_parts.h"
#include "common/base/error.h"
#include "common/store/files.h"

namespace outerloop::cli {
namespace {

constexpr double kWidth = kSheetWidth;
constexpr double kTall = 300.0, kShort = 170.0, kLastExtra = 32.0;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

bool any_finite(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

bool any_positive(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [](double v) { return std::isfinite(v) && v > 0.0; });
}

/// A centred mean over about a fortieth of the values, for columns that are not smoothed in the log.
std::vector<double> smoothed(const std::vector<double>& values) {
  const std::size_t half = std::max<std::size_t>(1, values.size() / 80);
  std::vector<double> sums = {0.0}, counts = {0.0};
  for (const double value : values) {
    const bool finite = std::isfinite(value);
    sums.push_back(sums.back() + (finite ? value : 0.0));
    counts.push_back(counts.back() + (finite ? 1.0 : 0.0));
  }
  std::vector<double> result;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t begin = i - std::min(i, half), end = std::min(values.size(), i + half + 1);
    const double count = counts[end] - counts[begin];
    result.push_back(count > 0.0 ? (sums[end] - sums[begin]) / count : kNone);
  }
  return result;
}

/// `series`, with the line interrupted between segments.
Series by_segments(Series series, const LearningCurve& curve, const std::vector<double>& y) {
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (i > 0 && curve.segment[i] != curve.segment[i - 1]) {
      series.x.push_back(curve.update[i]);
      series.y.push_back(kNone);
    }
    series.x.push_back(curve.update[i]);
    series.y.push_back(y[i]);
  }
  return series;
}

std::vector<Marker> resumes(const LearningCurve& curve, bool labelled) {
  std::vector<Marker> markers;
  for (std::size_t i = 1; i < curve.segment.size(); ++i)
    if (curve.segment[i] != curve.segment[i - 1])
      markers.push_back({curve.update[i], labelled ? "resumed" : ""});
  return markers;
}

Series series_of(const std::string& name, Colour colour, double width, double lower, double upper) {
  Series series;
  series.name = name;
  series.colour = colour;
  series.width = width;
  series.lower_quantile = lower;
  series.upper_quantile = upper;
  return series;
}

/// Every value in a light tone, with the smoothed values on top.
LineChart curve_chart(const LearningCurve& curve, const std::string& title, const std::string& label,
                      Colour colour, const std::vector<double>& values, const std::vector<double>& smooth) {
  LineChart chart;
  chart.title = title;
  chart.y_label = label;
  chart.whole_x = true;
  chart.series.push_back(
      by_segments(series_of("", colour.with_alpha(0.35), 1.0, 0.003, 0.997), curve, values));
  chart.series.push_back(by_segments(series_of("", colour, 2.0, 0.0, 1.0), curve, smooth));
  return chart;
}

LineChart objective_chart(const LearningCurve& curve) {
  const bool has_smooth = any_finite(curve.meta_objective_smooth);
  auto chart = curve_chart(curve, "Meta-objective", "meta-objective", palette::blue, curve.meta_objective,
                           has_smooth ? curve.meta_objective_smooth : smoothed(curve.meta_objective));
  chart.series[0].name = "each update";
  chart.series[1].name = "smoothed";
  chart.markers = resumes(curve, true);
  return chart;
}

LineChart plain_chart(const LearningCurve& curve, const std::string& title, const std::string& label,
                      Colour colour, const std::vector<double>& values, bool logarithmic) {
  auto chart = curve_chart(curve, title, label, colour, values, smoothed(values));
  chart.logarithmic = logarithmic;
  chart.markers = resumes(curve, false);
  return chart;
}

/// Stacked charts over updates; all but the first have the height `rest`.
std::vector<std::string> render_lines(const std::string& stem, const std::string& title,
                                      std::vector<LineChart> charts, double rest) {
  charts.back().x_label = "update";
  const double height = kTall + rest * static_cast<double>(charts.size() - 1) + kLastExtra;
  render(stem, kWidth, height, title, [&](Canvas& canvas) {
    Box area{0.0, 0.0, kWidth, kTall};
    for (std::size_t i = 0; i < charts.size(); ++i) {
      if (i + 1 == charts.size()) area.height += kLastExtra;
      draw_line_chart(canvas, area, charts[i]);
      area.top += area.height;
      area.height = rest;
    }
  });
  return written(stem);
}

/// Colour of dataset `i` of a role: cool colours for training data, warm ones for held-out data. Repeats
/// after the first few.
Colour role_colour(const std::string& role, std::size_t i) {
  static const Colour of_training[] = {palette::blue, palette::sky, palette::text};
  if (role == "train") return of_training[i % 3];
  if (role == "validation") return i % 2 == 0 ? palette::green : palette::purple;
  return i % 2 == 0 ? palette::vermilion : palette::orange;
}

LineChart held_out_chart(const HeldOutCurves& curves, bool accuracy) {
  LineChart chart;
  chart.title = accuracy ? "Few-shot accuracy on the same tasks" : "Evaluations";
  chart.y_label = accuracy ? "accuracy, %" : "meta-objective";
  chart.whole_x = true;
  std::map<std::string, std::size_t> of_role;
  std::vector<Colour> colours;
  for (const auto& curve : curves.datasets) colours.push_back(role_colour(curve.role, of_role[curve.role]++));
  colours = distinct_colours(colours);
  for (const auto& curve : curves.datasets) {
    auto series = series_of(accuracy ? "" : curve.dataset + ", " + curve.role, colours[chart.series.size()],
                            2.0, 0.0, 1.0);
    series.x = curve.update;
    series.y = accuracy ? curve.accuracy : curve.meta_objective;
    for (auto& value : series.y) value *= accuracy ? 100.0 : 1.0;
    chart.series.push_back(std::move(series));
  }
  if (std::isfinite(curves.best)) chart.markers.push_back({curves.best, accuracy ? "" : "best"});
  return chart;
}

/// Of the runs of one figure.
std::vector<Colour> run_colours(std::size_t runs) {
  static const Colour first[] = {palette::blue,   palette::vermilion, palette::green, palette::purple,
                                 palette::orange, palette::sky,       palette::grey,  palette::text};
  std::vector<Colour> colours;
  for (std::size_t i = 0; i < runs; ++i) colours.push_back(first[i % std::size(first)]);
  return distinct_colours(colours);
}

LineChart comparison_chart(const std::string& title, const std::string& label) {
  LineChart chart;
  chart.title = title;
  chart.y_label = label;
  chart.whole_x = true;
  return chart;
}

/// "hidden.in.unit.0.w" belongs to "hidden.in", "delta.w" to "delta": at most two parts, without the last.
std::string group_of(const std::string& name) {
  const std::size_t last = name.rfind('.');
  const std::string owner = last == std::string::npos ? name : name.substr(0, last);
  const std::size_t first = owner.find('.');
  return first == std::string::npos ? owner : owner.substr(0, owner.find('.', first + 1));
}

}  // namespace

std::vector<std::string> draw_learning_curve(const std::string& metrics, const std::string& out_dir) {
  const auto curve = read_learning_curve(metrics);
  std::vector<LineChart> charts = {objective_chart(curve)};
  if (any_finite(curve.gradient_norm))
    charts.push_back(plain_chart(curve, "Norm of the meta-gradient", "gradient norm", palette::vermilion,
                                 curve.gradient_norm, true));
  if (any_positive(curve.staleness_mean))
    charts.push_back(plain_chart(curve, "Staleness, mean of each batch", "updates behind", palette::green,
                                 curve.staleness_mean, false));
  return render_lines(make_stem(out_dir, "learning_curve"), "Learning curve", std::move(charts), kShort);
}

std::vector<std::string> draw_learning_curves(const std::vector<NamedMetrics>& runs,
                                              const std::string& out_dir) {
  std::vector<LineChart> charts = {comparison_chart("Meta-objective, smoothed", "meta-objective")};
  std::map<std::string, std::size_t> of_dataset;  // places in charts
  const auto colours = run_colours(runs.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto curve = read_learning_curve(runs[i].metrics);
    const auto series = series_of(runs[i].name, colours[i], 2.0, 0.0, 1.0);
    charts.front().series.push_back(by_segments(series, curve,
                                                any_finite(curve.meta_objective_smooth)
                                                    ? curve.meta_objective_smooth
                                                    : smoothed(curve.meta_objective)));
    for (const auto& held_out : read_held_out_curves(runs[i].metrics).datasets) {
      const std::string title = "Evaluations on " + held_out.dataset + ", " + held_out.role;
      const auto [place, is_new] = of_dataset.emplace(title, charts.size());
      const bool accuracy = any_finite(held_out.accuracy);
      if (is_new) charts.push_back(comparison_chart(title, accuracy ? "accuracy, %" : "meta-objective"));
      auto line = series_of("", colours[i], 2.0, 0.0, 1.0);
      line.x = held_out.update;
      line.y = accuracy ? held_out.accuracy : held_out.meta_objective;
      for (auto& value : line.y) value *= accuracy ? 100.0 : 1.0;
      charts[place->second].series.push_back(std::move(line));
    }
  }
  return render_lines(make_stem(out_dir, "learning_curves"), "Learning curves", std::move(charts), kShort);
}

std::vector<std::string> draw_held_out_curve(const std::string& metrics, const std::string& out_dir) {
  const auto curves = read_held_out_curves(metrics);
  if (curves.datasets.empty()) return {};
  std::vector<LineChart> charts = {held_out_chart(curves, false)};
  const bool accuracy = std::any_of(curves.datasets.begin(), curves.datasets.end(),
                                    [](const auto& curve) { return any_finite(curve.accuracy); });
  if (accuracy) charts.push_back(held_out_chart(curves, true));
  return render_lines(make_stem(out_dir, "held_out_curve"), "Trained on against held out", std::move(charts),
                      kTall);
}

std::vector<std::string> draw_accuracy(const std::string& evaluation, const std::string& out_dir) {
  std::vector<BarChart> charts;
  for (const auto& table : read_evaluation(evaluation)) charts.push_back(accuracy_chart(table));
  return render_bars(make_stem(out_dir, "accuracy"), "Few-shot accuracy", charts);
}

std::vector<std::string> draw_theta_norms(const std::string& rule, const std::string& out_dir) {
  const auto file = store::read_rule(rule);
  BarChart chart;
  chart.title = "θ of " + file.rule;
  chart.subtitle =
      fmt::format("after {} updates; {} parameters; root mean square of a group's values in brackets",
                  number_label(static_cast<double>(file.update), 0),
                  number_label(static_cast<double>(file.layout.size()), 0));
  chart.x_label = "norm";
  std::vector<std::int64_t> sizes;
  for (const auto& tensor : file.layout.tensors()) {
    const std::string group = group_of(tensor.name);
    auto bar =
        std::find_if(chart.bars.begin(), chart.bars.end(), [&](const auto& b) { return b.label == group; });
    if (bar == chart.bars.end()) {
      bar = chart.bars.insert(bar, Bar());
      bar->label = group;
      bar->colour = palette::blue;
      sizes.push_back(0);
    }
    sizes[static_cast<std::size_t>(bar - chart.bars.begin())] += tensor.size();
    for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size(); ++i)
      bar->value += file.theta[static_cast<std::size_t>(i)] * file.theta[static_cast<std::size_t>(i)];
  }
  for (std::size_t i = 0; i < chart.bars.size(); ++i) {
    auto& bar = chart.bars[i];
    const double mean_square = bar.value / static_cast<double>(sizes[i]);
    bar.value = std::sqrt(bar.value);
    bar.note = fmt::format("{:.3g}  ({:.2g})", bar.value, std::sqrt(mean_square));
  }
  return render_bars(make_stem(out_dir, "theta_norms"), "Norms of θ", {chart});
}

}  // namespace outerloop::cli
