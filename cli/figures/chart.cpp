#include "cli/figures/chart.h"

#include <algorithm>
#include <cmath>

namespace outerloop::cli {
namespace {

constexpr double kLeft = 78.0, kRight = 32.0, kTop = 34.0, kBottom = 44.0, kBottomBare = 12.0;
constexpr double kBar = 17.0, kBarGap = 9.0, kBarTop = 50.0, kHeading = 24.0;
constexpr double kDot = 2.6, kLegendRow = 20.0, kSubtitleRow = 17.0;
constexpr double kLeastPlot = 60.0;  // height of a plot, however long its legend

Scale x_scale(const LineChart& chart) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const auto& series : chart.series)
    for (const double x : series.x) {
      if (!std::isfinite(x)) continue;
      low = std::min(low, x);
      high = std::max(high, x);
    }
  const bool dots =
      std::any_of(chart.series.begin(), chart.series.end(), [](const auto& s) { return s.dots; });
  if (chart.logarithmic_x && low > 0.0 && std::isfinite(low)) {
    const double margin = dots ? std::pow(high / low, 0.015) : 1.0;
    return Scale(low / margin, high * margin, true);
  }
  const double margin = dots && std::isfinite(low) ? 0.015 * (high - low) : 0.0;
  return Scale(low - margin, high + margin, false);
}

/// Range of y including its intervals.
std::pair<double, double> range_of(const Series& series) {
  auto [low, high] = quantiles(series.y, series.lower_quantile, series.upper_quantile);
  for (std::size_t i = 0; i < std::min(series.error.size(), series.y.size()); ++i) {
    if (!std::isfinite(series.error[i]) || !std::isfinite(series.y[i])) continue;
    low = std::min(low, series.y[i] - series.error[i]);
    high = std::max(high, series.y[i] + series.error[i]);
  }
  return {low, high};
}

Scale y_scale(const LineChart& chart) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  bool positive = true;
  for (const auto& series : chart.series) {
    const auto [lower, upper] = range_of(series);
    if (std::isnan(lower)) continue;
    low = std::min(low, lower);
    high = std::max(high, upper);
    positive = positive && lower > 0.0;
  }
  if (chart.logarithmic && positive && std::isfinite(low)) {
    const double margin = std::pow(high / low, 0.05);
    return Scale(low / margin, high * margin, true);
  }
  const double margin = 0.05 * (high - low);
  // If no value is negative, the margin does not extend the axis below 0.
  const double end = low >= 0.0 && low - margin < 0.0 ? 0.0 : low - margin;
  return Scale(end, high + margin, false);
}

/// If there are more points than pixel columns, keeps each column's smallest and largest: the drawing looks
/// the same.
std::vector<Point> thinned(const std::vector<Point>& points, double width) {
  const auto columns = static_cast<std::size_t>(2.0 * width);
  if (points.size() <= 2 * columns) return points;
  std::vector<Point> kept;
  for (std::size_t column = 0; column < columns; ++column) {
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(column * points.size() / columns);
    const auto end = points.begin() + static_cast<std::ptrdiff_t>((column + 1) * points.size() / columns);
    const auto by_y = [](const Point& a, const Point& b) { return a.second < b.second; };
    auto [low, high] = std::minmax_element(begin, end, by_y);
    if (high < low) std::swap(low, high);
    kept.push_back(*low);
    if (high != low) kept.push_back(*high);
  }
  return kept;
}

/// The intervals as a band behind the line.
void draw_band(Canvas& canvas, const Box& plot, const Scale& x, const Scale& y, const Series& series) {
  std::vector<Point> upper, lower;
  for (std::size_t i = 0; i < std::min(series.error.size(), series.y.size()); ++i) {
    if (!std::isfinite(series.y[i]) || !std::isfinite(series.error[i])) continue;
    const double at = plot.left + x.place(series.x[i]) * plot.width;
    const auto place = [&](double value) {
      return plot.bottom() - std::clamp(y.place(value), -2.0, 3.0) * plot.height;
    };
    upper.emplace_back(at, place(series.y[i] + series.error[i]));
    lower.emplace_back(at, place(series.y[i] - series.error[i]));
  }
  upper.insert(upper.end(), lower.rbegin(), lower.rend());
  canvas.fill_polygon(upper, series.colour.with_alpha(0.18));
}

void draw_series(Canvas& canvas, const Box& plot, const Scale& x, const Scale& y, const Series& series) {
  draw_band(canvas, plot, x, y, series);
  std::vector<Point> run;
  const auto flush = [&] {
    canvas.polyline(thinned(run, plot.width), series.colour,
                    run.size() == 1 ? 2.0 * series.width : series.width);
    run.clear();
  };
  for (std::size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
    if (!std::isfinite(series.y[i]) || !std::isfinite(series.x[i]) ||
        (y.logarithmic() && series.y[i] <= 0.0)) {
      flush();
      continue;
    }
    // Far outside the plot, Cairo's fixed-point coordinates would overflow.
    const double height = std::clamp(y.place(series.y[i]), -2.0, 3.0);
    run.emplace_back(plot.left + x.place(series.x[i]) * plot.width, plot.bottom() - height * plot.height);
    if (series.dots) canvas.dot(run.back(), kDot, series.colour);
  }
  flush();
}

void draw_axes(Canvas& canvas, const Box& plot, const Box& area, const LineChart& chart, const Scale& x,
               const Scale& y) {
  for (const auto& tick : y.ticks(std::max(2, static_cast<int>(plot.height / 30.0)))) {
    const double at = plot.bottom() - y.place(tick.value) * plot.height;
    canvas.line({plot.left, at}, {plot.right(), at}, palette::grid, 1.0);
    canvas.text({plot.left - 8.0, at + 4.0}, tick.label, fonts::tick, palette::muted, Align::right);
  }
  for (const auto& tick :
       x.ticks(std::max(2, static_cast<int>(plot.width / 100.0)), chart.whole_x ? 1.0 : 0.0)) {
    const double at = plot.left + x.place(tick.value) * plot.width;
    canvas.line({at, plot.bottom()}, {at, plot.bottom() + 4.0}, palette::frame, 1.0);
    if (!chart.x_label.empty())
      canvas.text({at, plot.bottom() + 18.0}, tick.label, fonts::tick, palette::muted, Align::centre);
  }
  canvas.line({plot.left, plot.bottom()}, {plot.right(), plot.bottom()}, palette::frame, 1.0);
  canvas.line({plot.left, plot.top}, {plot.left, plot.bottom()}, palette::frame, 1.0);
  if (!chart.x_label.empty())
    canvas.text({plot.left + plot.width / 2.0, plot.bottom() + 38.0}, chart.x_label, fonts::label,
                palette::text, Align::centre);
  canvas.text_upwards({area.left + 14.0, plot.top + plot.height / 2.0}, chart.y_label, fonts::label);
}

constexpr double kKey = 22.0, kKeyGap = 6.0, kEntryGap = 18.0;  // of an entry: line, gap, gap to the next

double entry_width(Canvas& canvas, const Series& series) {
  return canvas.text_width(series.name, fonts::tick) + kKey + kKeyGap + kEntryGap;
}

double legend_width(Canvas& canvas, const LineChart& chart) {
  double width = 0.0;
  for (const auto& series : chart.series)
    if (!series.name.empty()) width += entry_width(canvas, series);
  return width;
}

using LegendRows = std::vector<std::vector<const Series*>>;

/// The named series, in as many rows as a legend of that width needs.
LegendRows legend_rows(Canvas& canvas, const LineChart& chart, double width) {
  LegendRows rows;
  double used = 0.0;
  for (const auto& series : chart.series) {
    if (series.name.empty()) continue;
    const double entry = entry_width(canvas, series);
    if (rows.empty() || used + entry > width + kEntryGap) {
      rows.emplace_back();
      used = 0.0;
    }
    rows.back().push_back(&series);
    used += entry;
  }
  return rows;
}

/// Right-aligned above the plot, where no line can run through it.
void draw_legend(Canvas& canvas, const Box& plot, const LegendRows& rows) {
  double baseline = plot.top - 12.0 - kLegendRow * (static_cast<double>(rows.size()) - 1.0);
  for (const auto& row : rows) {
    double right = plot.right();
    for (auto series = row.rbegin(); series != row.rend(); ++series) {
      canvas.text({right, baseline}, (*series)->name, fonts::tick, palette::text, Align::right);
      right -= canvas.text_width((*series)->name, fonts::tick) + kKeyGap;
      canvas.line({right - kKey, baseline - 4.0}, {right, baseline - 4.0}, (*series)->colour,
                  std::max(2.0, (*series)->width));
      right -= kKey + kEntryGap;
    }
    baseline += kLegendRow;
  }
}

void draw_label(Canvas& canvas, Point baseline, const std::string& label, double width) {
  canvas.fill({baseline.first - 3.0, baseline.second - 12.0, width + 6.0, 16.0},
              palette::white.with_alpha(0.85));
  canvas.text(baseline, label, fonts::tick, palette::muted);
}

/// Each label next to its line, on its left near the frame; in a lower row if it would overlap others. Of
/// equal labels that overlap, the first stands for all.
void draw_markers(Canvas& canvas, const Box& plot, const Scale& x, const LineChart& chart) {
  constexpr double kGap = 5.0, kRow = 18.0;
  struct Row {
    double end;  // of its last label
    std::string label;
  };
  std::vector<Row> rows;
  for (const auto& marker : chart.markers) {
    const double at = plot.left + x.place(marker.x) * plot.width;
    canvas.line({at, plot.top}, {at, plot.bottom()}, palette::grey, 1.0, true);
    if (marker.label.empty()) continue;
    const double width = canvas.text_width(marker.label, fonts::tick);
    const bool on_right = at + kGap + width <= plot.right();
    const double left = on_right ? at + kGap : std::max(plot.left + kGap, at - kGap - width);
    std::size_t row = 0;
    while (row < rows.size() && left < rows[row].end && rows[row].label != marker.label) ++row;
    if (row < rows.size() && left < rows[row].end) continue;
    if (row == rows.size()) rows.push_back({});
    rows[row] = {left + width + 2.0 * kGap, marker.label};
    draw_label(canvas, {left, plot.top + 14.0 + kRow * static_cast<double>(row)}, marker.label, width);
  }
}

/// Behind everything else.
void draw_spans(Canvas& canvas, const Box& plot, const Scale& x, const LineChart& chart) {
  for (const auto& span : chart.spans) {
    const double low = plot.left + std::clamp(x.place(span.low), 0.0, 1.0) * plot.width;
    const double high = plot.left + std::clamp(x.place(span.high), 0.0, 1.0) * plot.width;
    canvas.fill({low - 1.0, plot.top, std::max(2.0, high - low + 2.0), plot.height}, palette::grid);
  }
}

void draw_span_labels(Canvas& canvas, const Box& plot, const Scale& x, const LineChart& chart) {
  for (const auto& span : chart.spans) {
    const double width = canvas.text_width(span.label, fonts::tick);
    const double middle =
        plot.left + 0.5 *
                        (std::clamp(x.place(span.low), 0.0, 1.0) + std::clamp(x.place(span.high), 0.0, 1.0)) *
                        plot.width;
    const double left = std::clamp(middle - width / 2.0, plot.left + 5.0,
                                   std::max(plot.left + 5.0, plot.right() - width - 5.0));
    draw_label(canvas, {left, plot.bottom() - 6.0}, span.label, width);
  }
}

/// `font`, smaller where `text` would be wider than `width`.
Font fitted(Canvas& canvas, const std::string& text, Font font, double width) {
  const double natural = canvas.text_width(text, font);
  if (natural > width) font.size *= width / natural;
  return font;
}

/// Draws the bar and its interval; returns the position of the note.
double draw_bar(Canvas& canvas, const Box& plot, const Scale& scale, const Bar& bar, double top) {
  const auto place = [&](double value) {
    return plot.left + std::clamp(scale.place(value), 0.0, 1.0) * plot.width;
  };
  if (!std::isfinite(bar.value)) return plot.left;
  const double middle = top + kBar / 2.0;
  const double end = place(bar.value);
  canvas.fill({plot.left, top, end - plot.left, kBar}, bar.colour);
  if (!std::isfinite(bar.error) || bar.error <= 0.0) return end;
  const double low = place(bar.value - bar.error), high = place(bar.value + bar.error);
  canvas.line({low, middle}, {high, middle}, palette::text, 1.3);
  for (const double x : {low, high}) canvas.line({x, middle - 4.0}, {x, middle + 4.0}, palette::text, 1.3);
  return high;
}

/// On white, so that no grid line runs through it.
void draw_note(Canvas& canvas, Point baseline, const Bar& bar, double width) {
  const std::string& note = std::isfinite(bar.value) ? bar.note : "no number";
  const Font font = fitted(canvas, note, fonts::tick, width);
  canvas.fill({baseline.first - 3.0, baseline.second - font.size, canvas.text_width(note, font) + 6.0,
               font.size + 4.0},
              palette::white);
  canvas.text(baseline, note, font, std::isfinite(bar.value) ? palette::text : palette::muted);
}

void draw_bars(Canvas& canvas, const Box& plot, const Scale& scale, const BarChart& chart, double label_width,
               double note_width) {
  std::vector<Point> notes;
  double top = plot.top + kBarGap;
  for (const auto& bar : chart.bars) {
    if (!bar.heading.empty()) {
      canvas.text({plot.left - 10.0, top + kHeading - 8.0}, bar.heading, {fonts::label.size, true},
                  palette::text, Align::right);
      top += kHeading;
    }
    const double baseline = top + kBar / 2.0 + 4.0;
    canvas.text({plot.left - 10.0, baseline}, bar.label, fitted(canvas, bar.label, fonts::label, label_width),
                palette::text, Align::right);
    notes.emplace_back(draw_bar(canvas, plot, scale, bar, top) + 8.0, baseline);
    top += kBar + kBarGap;
  }
  if (std::isfinite(chart.reference)) {
    const double at = plot.left + scale.place(chart.reference) * plot.width;
    canvas.line({at, plot.top}, {at, plot.bottom()}, palette::text.with_alpha(0.7), 1.0, true);
  }
  for (std::size_t i = 0; i < notes.size(); ++i) draw_note(canvas, notes[i], chart.bars[i], note_width);
}

}  // namespace

void draw_line_chart(Canvas& canvas, const Box& area, const LineChart& chart) {
  const double bottom = chart.x_label.empty() ? kBottomBare : kBottom;
  Box plot{area.left + kLeft, area.top + kTop, area.width - kLeft - kRight, area.height - kTop - bottom};
  const auto lower_by = [&](double height) {
    plot.top += height;
    plot.height -= height;
  };
  const double title = plot.top - 12.0;
  if (!chart.subtitle.empty()) lower_by(kSubtitleRow);
  // A legend that would run into the line above the plot goes below it, in as many rows as it needs.
  const double beside = chart.subtitle.empty() ? canvas.text_width(chart.title, fonts::title)
                                               : canvas.text_width(chart.subtitle, fonts::tick);
  const LegendRows legend = legend_rows(canvas, chart, plot.width);
  if (!legend.empty() && beside + legend_width(canvas, chart) > plot.width)
    lower_by(std::min(kLegendRow * static_cast<double>(legend.size()), plot.height - kLeastPlot));
  const Scale x = x_scale(chart);
  const Scale y = y_scale(chart);
  canvas.text({plot.left, title}, chart.title, fitted(canvas, chart.title, fonts::title, plot.width));
  if (!chart.subtitle.empty())
    canvas.text({plot.left, title + kSubtitleRow}, chart.subtitle,
                fitted(canvas, chart.subtitle, fonts::tick, plot.width), palette::muted);
  draw_legend(canvas, plot, legend);
  draw_spans(canvas, plot, x, chart);
  draw_axes(canvas, plot, area, chart, x, y);
  canvas.clipped(plot, [&] {
    for (const auto& series : chart.series) draw_series(canvas, plot, x, y, series);
  });
  draw_span_labels(canvas, plot, x, chart);
  draw_markers(canvas, plot, x, chart);
}

double bar_chart_height(const BarChart& chart) {
  const auto headings = std::count_if(chart.bars.begin(), chart.bars.end(),
                                      [](const auto& bar) { return !bar.heading.empty(); });
  return kBarTop + static_cast<double>(chart.bars.size()) * (kBar + kBarGap) +
         static_cast<double>(headings) * kHeading + kBarGap + kBottom;
}

void draw_bar_chart(Canvas& canvas, const Box& area, const BarChart& chart, double label_width,
                    double note_width) {
  label_width = std::min(label_width, area.width / 3.0);
  note_width = std::min(note_width, area.width / 3.0);
  const Box plot{area.left + label_width + 24.0, area.top + kBarTop,
                 area.width - label_width - note_width - 46.0, area.height - kBarTop - kBottom};
  double high = chart.maximum;
  for (const auto& bar : chart.bars) {
    if (!std::isfinite(bar.value)) continue;
    high = std::max(high, bar.value + (std::isfinite(bar.error) ? bar.error : 0.0));
  }
  const Scale scale(0.0, high > 0.0 ? high : 1.0, false);
  const double room = area.width - 28.0;
  canvas.text({area.left + 14.0, area.top + 20.0}, chart.title,
              fitted(canvas, chart.title, fonts::title, room));
  canvas.text({area.left + 14.0, area.top + 38.0}, chart.subtitle,
              fitted(canvas, chart.subtitle, fonts::tick, room), palette::muted);
  for (const auto& tick : scale.ticks(std::max(2, static_cast<int>(plot.width / 90.0)))) {
    const double at = plot.left + scale.place(tick.value) * plot.width;
    canvas.line({at, plot.top}, {at, plot.bottom()}, palette::grid, 1.0);
    canvas.text({at, plot.bottom() + 16.0}, tick.label, fonts::tick, palette::muted, Align::centre);
  }
  draw_bars(canvas, plot, scale, chart, label_width, note_width);
  canvas.line({plot.left, plot.top}, {plot.left, plot.bottom()}, palette::frame, 1.0);
  canvas.text({plot.left + plot.width / 2.0, plot.bottom() + 34.0}, chart.x_label, fonts::label,
              palette::text, Align::centre);
}

double widest(Canvas& canvas, const std::vector<std::string>& texts, Font font) {
  double width = 0.0;
  for (const auto& text : texts) width = std::max(width, canvas.text_width(text, font));
  return width;
}

}  // namespace outerloop::cli
