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

/// The first-layer filters of a stream's base model (of its first lane): the columns of W^1 as images, at
/// most 8 x 8 of them in a grid, each scaled to [0, 1], one pixel apart. The task's permutation is undone, so
/// adjacent pixels are adjacent in the data. Nothing if the task has not begun, its inputs are not a square
/// image, or the rule has no W^1.
std::optional<Picture> filters_of(const store::StreamState& stream, const config::Settings& settings);

}  // namespace outerloop::coordinator
