#include "coordinator/filters.h"

#include <algorithm>
#include <cmath>

#include "common/data/task.h"
#include "common/rule/phi.h"
#include "common/store/stream_message.h"

namespace outerloop::coordinator {
namespace {

constexpr std::int64_t kPerRow = 8;

/// Scaled in place to [0, 1].
void scale(std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double from = *low, range = *high - *low;
  for (double& value : values) value = range > 0.0 ? (value - from) / range : 0.5;
}

}  // namespace

std::optional<Picture> filters_of(const store::StreamState& stream, const config::Settings& settings) {
  if (stream.lanes.empty() || stream.lanes.front().units.size() < 2) return std::nullopt;
  const store::LaneState& lane = stream.lanes.front();
  const std::int64_t inputs = lane.units[0], units = lane.units[1];
  const auto side = std::lround(std::sqrt(static_cast<double>(inputs)));
  if (side < 2 || side * side != inputs) return std::nullopt;
  const auto layout = rule::phi_layout(settings.rule, {lane.units, {}});
  // A module may have any tensors.
  if (!layout.contains("1/W") || layout.at("1/W").shape != std::vector<std::int64_t>{inputs, units})
    return std::nullopt;
  const double* weights = lane.phi.data() + layout.at("1/W").offset;
  const auto permutation = data::task_permutation(
      settings.config.seed(), store::lane_stream(stream.stream, stream.lanes.size(), 0), lane.task,
      static_cast<std::int32_t>(inputs), settings.config.tasks().permute_probability());

  const std::int64_t shown = std::min(units, kPerRow * kPerRow), columns = std::min(shown, kPerRow);
  const std::int64_t rows = (shown + columns - 1) / columns;
  Picture picture{rows * (side + 1) - 1, columns * (side + 1) - 1, {}};
  picture.pixels.assign(static_cast<std::size_t>(picture.height * picture.width), 0.0);
  std::vector<double> filter(static_cast<std::size_t>(inputs));
  for (std::int64_t unit = 0; unit < shown; ++unit) {
    for (std::int64_t i = 0; i < inputs; ++i)
      filter[static_cast<std::size_t>(permutation[static_cast<std::size_t>(i)])] = weights[i * units + unit];
    scale(filter);
    const std::int64_t top = unit / columns * (side + 1), left = unit % columns * (side + 1);
    for (std::int64_t y = 0; y < side; ++y)
      for (std::int64_t x = 0; x < side; ++x)
        picture.pixels[static_cast<std::size_t>((top + y) * picture.width + left + x)] =
            filter[static_cast<std::size_t>(y * side + x)];
  }
  return picture;
}

}  // namespace outerloop::coordinator
