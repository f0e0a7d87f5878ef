#pragma once
// Line charts, and charts of horizontal bars with confidence intervals.
#include <limits>
#include <string>
#include <vector>

#include "cli/figures/canvas.h"
#include "cli/figures/chart_axis.h"

namespace outerloop::cli {

/// A line, interrupted where y is not finite.
struct Series {
  std::string name;  ///< in the legend; empty: no entry
  std::vector<double> x;
  std::vector<double> y;
  Colour colour;
  double width = 1.5;
  /// Quantiles of its values that set the range of y: (0, 1) shows all values, (0.01, 0.99) clips single
  /// spikes.
  double lower_quantile = 0.0;
  double upper_quantile = 1.0;
  std::vector<double> error{};  ///< half-widths of intervals, drawn as a band; empty: none
  bool dots = false;            ///< a dot at every point
};

/// A vertical dashed line with a label, e.g. where a run was resumed.
struct Marker {
  double x = 0.0;
  std::string label;
};

/// A range of x with a light background, e.g. the widths of meta-training.
struct Span {
  double low = 0.0, high = 0.0;
  std::string label;
};

struct LineChart {
  std::string title;
  std::string subtitle{};  ///< under the title; none where it is empty
  std::string x_label;     ///< none: ticks without labels, for charts stacked above another one
  std::string y_label;
  bool logarithmic = false;  ///< y; falls back to linear where values are not positive
  bool whole_x = false;      ///< x holds whole numbers: no ticks between them
  bool logarithmic_x = false;
  std::vector<Series> series;
  std::vector<Marker> markers;
  std::vector<Span> spans{};
};

/// Draws into `area`, including labels. Charts drawn into areas with equal left edge and width have aligned
/// plots.
void draw_line_chart(Canvas& canvas, const Box& area, const LineChart& chart);

struct Bar {
  std::string label;
  double value = 0.0;
  double error = std::numeric_limits<double>::quiet_NaN();  ///< half-width of the interval; NaN: none
  std::string note;                                         ///< next to the bar's end
  Colour colour;
  std::string heading{};  ///< in bold above this bar, the first of a group; empty: none
};

struct BarChart {
  std::string title;
  std::string subtitle;
  std::string x_label;
  std::vector<Bar> bars;
  double maximum = 0.0;  ///< minimum end of the axis, so that charts can be compared
  double reference = std::numeric_limits<double>::quiet_NaN();  ///< a dashed line there
};

/// The height that a chart of those bars needs.
double bar_chart_height(const BarChart& chart);

/// Horizontal bars from 0, top to bottom. `label_width` is reserved for the names on the left, `note_width`
/// for the notes on the right.
void draw_bar_chart(Canvas& canvas, const Box& area, const BarChart& chart, double label_width,
                    double note_width);

/// The width that the widest of `texts` needs.
double widest(Canvas& canvas, const std::vector<std::string>& texts, Font font);

/// Fonts of both charts.
namespace fonts {
inline constexpr Font title{14.0, true};
inline constexpr Font label{12.0, false};
inline constexpr Font tick{11.0, false};
}  // namespace fonts

}  // namespace outerloop::cli
