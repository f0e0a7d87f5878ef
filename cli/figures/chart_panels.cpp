#include "cli/figures/chart_panels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cli/figures/chart.h"

namespace outerloop::cli {
namespace {

constexpr double kTitle = 20.0, kLabel = 16.0, kInside = 0.06;
constexpr double kLegendColumn = 118.0, kLegendLine = 18.0;  // seven columns on a sheet

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  double centre() const { return low <= high ? 0.5 * (low + high) : 0.0; }
  double width() const { return low <= high ? high - low : 0.0; }
};

bool finite(const Point& point) { return std::isfinite(point.first) && std::isfinite(point.second); }

}  // namespace

Colour class_colour(std::int32_t label) {
  static const Colour colours[] = {palette::blue,   palette::vermilion, palette::green, palette::orange,
                                   palette::sky,    palette::purple,    palette::grey,  {0.13, 0.13, 0.15},
                                   {0.90, 0.84, 0}, {0.45, 0.30, 0.15}};
  return colours[static_cast<std::size_t>(std::max(label, 0)) % std::size(colours)];
}

ClassLegend class_legend(const std::vector<std::int32_t>& labels, const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 20;
  std::vector<std::int32_t> present(labels);
  std::sort(present.begin(), present.end());
  present.erase(std::unique(present.begin(), present.end()), present.end());
  ClassLegend legend;
  for (const auto label : present) {
    if (label < 0 || static_cast<std::size_t>(label) >= names.size()) continue;
    if (legend.entries.size() < kMost)
      legend.entries.emplace_back(label, names[static_cast<std::size_t>(label)]);
    else
      ++legend.more;
  }
  return legend;
}

namespace {

std::size_t per_line(double width) { return static_cast<std::size_t>(std::max(1.0, width / kLegendColumn)); }

std::size_t legend_items(const ClassLegend& legend) {
  return legend.entries.size() + (legend.more > 0 ? 1 : 0);
}

}  // namespace

double legend_height(const ClassLegend& legend, double width) {
  const std::size_t lines = (legend_items(legend) + per_line(width) - 1) / per_line(width);
  return lines > 0 ? kLegendLine * static_cast<double>(lines) + 6.0 : 0.0;
}

void draw_class_legend(Canvas& canvas, const Box& area, const ClassLegend& legend) {
  for (std::size_t i = 0; i < legend_items(legend); ++i) {
    const Point at{area.left + kLegendColumn * static_cast<double>(i % per_line(area.width)),
                   area.top + kLegendLine * static_cast<double>(i / per_line(area.width)) + 8.0};
    const bool named = i < legend.entries.size();
    if (named) canvas.dot({at.first + 5.0, at.second}, 3.5, class_colour(legend.entries[i].first));
    const std::string text =
        named ? legend.entries[i].second : "and " + std::to_string(legend.more) + " more";
    Font font = fonts::tick;
    const double natural = canvas.text_width(text, font), room = kLegendColumn - 20.0;
    if (natural > room) font.size *= room / natural;
    canvas.text({at.first + 13.0, at.second + 4.0}, text, font, palette::muted);
  }
}

void draw_scatter(Canvas& canvas, const Box& area, const ScatterPanel& panel) {
  const double left = panel.y_label.empty() ? 0.0 : kLabel, bottom = panel.x_label.empty() ? 0.0 : kLabel;
  const Box frame{area.left + left, area.top + kTitle, area.width - left, area.height - kTitle - bottom};
  Range x, y;
  for (const auto& point : panel.points) {
    if (!finite(point)) continue;
    x.add(point.first);
    y.add(point.second);
  }
  const double room = 1.0 - 2.0 * kInside;
  const double widest = std::max(x.width() / frame.width, y.width() / frame.height);
  const double scale = widest > 0.0 ? room / widest : 0.0;
  canvas.fill(frame, {0.98, 0.98, 0.98});
  canvas.clipped(frame, [&] {
    for (std::size_t i = 0; i < panel.points.size(); ++i) {
      const auto& point = panel.points[i];
      if (!finite(point)) continue;
      const Point at{frame.left + frame.width / 2.0 + (point.first - x.centre()) * scale,
                     frame.top + frame.height / 2.0 - (point.second - y.centre()) * scale};
      canvas.dot(at, 1.3, class_colour(i < panel.classes.size() ? panel.classes[i] : 0).with_alpha(0.75));
    }
  });
  canvas.text({frame.left + frame.width / 2.0, area.top + kTitle - 7.0}, panel.title, fonts::label,
              palette::text, Align::centre);
  if (!panel.x_label.empty())
    canvas.text({frame.left + frame.width / 2.0, area.bottom() - 3.0}, panel.x_label, fonts::tick,
                palette::muted, Align::centre);
  if (!panel.y_label.empty())
    canvas.text_upwards({area.left + kLabel / 2.0 - 2.0, frame.top + frame.height / 2.0}, panel.y_label,
                        fonts::tick, palette::muted);
}

void draw_filters(Canvas& canvas, const Box& area, const FilterPanel& panel) {
  canvas.text({area.left, area.top + kTitle - 7.0}, panel.title, fonts::label);
  const double step = area.width / static_cast<double>(panel.per_row);
  const double gap = std::min(3.0, 0.1 * step);
  for (std::size_t i = 0; i < panel.filters.size(); ++i) {
    const auto& filter = panel.filters[i];
    double largest = 0.0;
    for (const double weight : filter)
      if (std::isfinite(weight)) largest = std::max(largest, std::abs(weight));
    std::vector<double> greys;
    for (const double weight : filter)
      greys.push_back(largest > 0.0 && std::isfinite(weight) ? 0.5 + 0.5 * weight / largest : 0.5);
    const auto row = static_cast<double>(static_cast<std::int64_t>(i) / panel.per_row);
    const auto column = static_cast<double>(static_cast<std::int64_t>(i) % panel.per_row);
    canvas.image({area.left + column * step, area.top + kTitle + row * step, step - gap, step - gap},
                 panel.side, panel.side, greys);
  }
}

}  // namespace outerloop::cli
