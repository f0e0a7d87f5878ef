#pragma once
// Pictures of the filters in a base model's first layer.
#include <cstdint>
#include <optional>
#include <vector>

#include "common/config/settings.h"
#include "common/store/files.h"

namespace outerloop::coordinator {

/// Grey levels in [0, 1], [height, width] row-major.
struct Picture {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<double> pixels;
};

/// What the first layer's units of a stream's base model look for: the columns of W^1 as images, at most 8 x
/// 8 of them side by side, each scaled to [0, 1], with a pixel between two. The task's permutation is undone,
/// so that neighbours are neighbours in the data. Nothing where the task has not begun, its inputs are no
/// square image, or the rule has no W^1.
std::optional<Picture> filters_of(const store::StreamState& stream, const config::Settings& settings);

}  // namespace outerloop::coordinator
