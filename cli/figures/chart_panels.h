#pragma once
// Scatter plots and images of filters: small panels without numbered axes, many on a sheet.
#include <cstdint>
#include <string>
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

/// Ten colours for classes, used cyclically.
Colour class_colour(std::int32_t label);

}  // namespace outerloop::cli
