#pragma once
// Shared parts of the figures: names and colours of methods, bars of accuracy, and paths of the output.
#include <string>
#include <vector>

#include "cli/figures/chart.h"
#include "cli/figures/figure_data.h"

namespace outerloop::cli {

inline constexpr double kSheetWidth = 860.0;  ///< of every figure, in points

/// `out_dir`/`name`, for render(); makes the folder. Throws InputError where it cannot be made.
std::string make_stem(const std::string& out_dir, const char* name);

/// The three files that render() makes of a stem.
std::vector<std::string> written(const std::string& stem);

/// A legend's name for each run directory or rule file: the last part of its path, of a rule without .h5, and
/// as many parts before it as tell it from the others.
std::vector<std::string> run_names(const std::vector<std::string>& paths);

/// e.g. "learned rule" for rule. The baseline "pixels" is raw pixels of images, and raw inputs of vectors.
std::string method_label(const std::string& method, bool images);

/// Conditions of a table's numbers: labels, base model, inner steps, draws; two of them only on request.
std::string conditions(const AccuracyTable& table, bool base_model, bool inner_steps);

/// The learned rule stands out; its own starting points share a colour family, the other baselines are grey.
Colour method_colour(const std::string& method);

/// A bar for each method, by the ridge read-out if there is one; a dashed line at random initialisation.
BarChart accuracy_chart(const AccuracyTable& table);

/// Charts one below the other, with common axes. Returns the written files.
std::vector<std::string> render_bars(const std::string& stem, const std::string& title,
                                     std::vector<BarChart> charts);

}  // namespace outerloop::cli
