#pragma once
// Draws the figures of the paper that `outerloop figure` computes (studies.h), from the JSON that it writes,
// so that `plot` can redraw them.
#include <string>
#include <vector>

namespace outerloop::cli {

/// NAME.json → NAME.png, .svg and .pdf in `out_dir`, which is made where needed; returns what was written.
/// What is drawn follows from the JSON's "figure". Throws InputError that names file and place for what
/// cannot be drawn from, Error where the disk refuses.
std::vector<std::string> draw_figure(const std::string& json_path, const std::string& out_dir);

}  // namespace outerloop::cli
