#pragma once
// Draws the figures of the paper that `outerloop figure` computes (studies.h), from the JSON that it writes,
// so that `plot` can redraw them.
#include <string>
#include <vector>

namespace outerloop::cli {

/// NAME.json → NAME.png and .svg in `out_dir`, which is created if needed; returns the written files. The
/// JSON's "figure" selects the kind of drawing. Throws InputError that names file and position for unusable
/// input, and Error where writing fails.
std::vector<std::string> draw_figure(const std::string& json_path, const std::string& out_dir);

}  // namespace outerloop::cli
