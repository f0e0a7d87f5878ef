#include "cli/stream_sizes.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/net/transport.h"
#include "common/rule/phi.h"

namespace outerloop::cli {
namespace {

constexpr std::int64_t kRest = 1 << 16;     // of a message: names and numbers
constexpr std::int64_t kLaneRest = 1 << 9;  // likewise, of each lane
constexpr double kMegabyte = 1e6;
// Of a checkpoint: HDF5 takes 1 to 3 ms for each, and a resume reads them within a minute.
constexpr std::int64_t kMostLanes = 10000;
// Of all states at the coordinator: the newest, and those of the last checkpoint, which a loss leads back to.
constexpr std::int64_t kCopies = 2;

/// Numbers of φ of the largest base model that a task may have.
std::int64_t most_phi(rule::Engine& engine, const data::TaskDistribution& tasks) {
  const auto& options = tasks.options();
  std::int64_t inputs = 0;
  for (const auto& weighted : tasks.datasets()) inputs = std::max(inputs, weighted.dataset->inputs);
  std::int64_t most = 0;
  for (const auto* sizes : {&options.sizes, &options.first.sizes}) {
    if (sizes->width.high < 1) continue;  // there are no first tasks
    rule::Architecture largest;
    largest.units = {inputs};
    largest.units.insert(largest.units.end(), static_cast<std::size_t>(sizes->hidden_layers.high),
                         sizes->width.high);
    largest.units.push_back(options.output_units > 0 ? options.output_units : options.way.high);
    most = std::max(most, engine.phi_layout(largest).size());
  }
  return most;
}

std::string megabytes(std::int64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / kMegabyte);
}

}  // namespace

std::int64_t most_lane_bytes(rule::Engine& engine, const data::TaskDistribution& tasks,
                             const rule::EstimatorOptions& estimator) {
  const std::int64_t phi = most_phi(engine, tasks);
  const std::int64_t pairs = estimator.persistent() ? estimator.pairs : 0;
  const auto number = static_cast<std::int64_t>(sizeof(double));
  return kLaneRest + number * (phi + pairs * (engine.theta_layout().size() + 2 * phi));
}

std::int64_t most_stream_bytes(std::int64_t lane_bytes, std::int64_t group) {
  return kRest + group * lane_bytes;
}

std::string objection_to(const StreamSizes& sizes) {
  const std::int64_t lane = sizes.bytes / sizes.group;
  if (sizes.bytes > net::kMaximumFrameBytes)
    return fmt::format(
        "tasks.group = {}: a stream takes up to {} in one message ({} for each of its tasks), and a message "
        "holds {}; lower tasks.group to {}, or the tasks' width and depth",
        sizes.group, megabytes(sizes.bytes), megabytes(lane), megabytes(net::kMaximumFrameBytes),
        std::max<std::int64_t>(1, net::kMaximumFrameBytes / lane));
  if (const std::int64_t lanes = sizes.streams * sizes.group; lanes > kMostLanes)
    return fmt::format(
        "streams = {}{}: a checkpoint holds the state of each, and one of more than {} takes too long to "
        "write "
        "when a run is told to end; lower streams (by default as many as batch)",
        sizes.streams, sizes.group > 1 ? fmt::format(" of {} tasks", sizes.group) : "", kMostLanes);
  const std::int64_t all = kCopies * sizes.streams * sizes.bytes;
  if (sizes.group > 1 && all > sizes.available)
    return fmt::format(
        "tasks.group = {}: {} streams of {} tasks take up to {} ({} for each task) in the coordinator's "
        "memory, twice, and its host has {} to spare; lower streams or tasks.group",
        sizes.group, sizes.streams, sizes.group, megabytes(all / kCopies), megabytes(lane),
        megabytes(sizes.available));
  return {};
}

}  // namespace outerloop::cli
