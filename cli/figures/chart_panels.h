#pragma once
// Scatter plots and images of filters: small panels without numbered axes, many on a sheet.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cli/figures/canvas.h"

namespace outerloop::cli {

/// Points coloured by class, both axes on one scale, centred.
struct ScatterPanel {
  std::string title;
  std::string x_label, y_label;       ///< along the frame; empty: none
  std::vector<Point> points;          ///< non-finite points are left out
  std::vector<std::int32_t> classes;  ///< one per point
};

/// Draws into `area`, including title and labels.
void draw_scatter(Canvas& canvas, const Box& area, const ScatterPanel& panel);

/// Filters as grey squares, row by row. Each has its own scale: grey is zero, white its largest absolute
/// value, black minus that.
struct FilterPanel {
  std::string title;
  std::int64_t side = 0;                     ///< side of a filter in pixels
  std::vector<std::vector<double>> filters;  ///< [filters][side * side]
  std::int64_t per_row = 8;
};

void draw_filters(Canvas& canvas, const Box& area, const FilterPanel& panel);

/// Names of classes beside the dots of their colours.
struct ClassLegend {
  std::vector<std::pair<std::int32_t, std::string>> entries;  ///< label and name; empty: there is none
  std::size_t more = 0;                                       ///< classes that are left out
};

/// Of the classes that occur in `labels`, at most 20; `names` by label.
ClassLegend class_legend(const std::vector<std::int32_t>& labels, const std::vector<std::string>& names);

/// Of its lines in that width; 0 without entries.
double legend_height(const ClassLegend& legend, double width);
/// Draws from the top of `area`, in columns of equal width.
void draw_class_legend(Canvas& canvas, const Box& area, const ClassLegend& legend);

/// Ten colours for classes, then again from the first.
Colour class_colour(std::int32_t label);

}  // namespace outerloop::cli
