#pragma once
// How large the states of streams may get, and whether they fit a message and the coordinator's memory.
#include <cstdint>
#include <string>

#include "common/data/task.h"
#include "common/rule/engine.h"
#include "common/rule/estimator.h"

namespace outerloop::cli {

/// Most bytes that one lane of a stream takes in a message: φ of the largest base model that a task may have,
/// and with persistent evolution strategies two more and the noise, for each pair.
std::int64_t most_lane_bytes(rule::Engine& engine, const data::TaskDistribution& tasks,
                             const rule::EstimatorOptions& estimator);

/// The same for a stream with `group` lanes.
std::int64_t most_stream_bytes(std::int64_t lane_bytes, std::int64_t group);

struct StreamSizes {
  std::int64_t group = 1;      ///< tasks.group
  std::int64_t streams = 0;    ///< of the run
  std::int64_t bytes = 0;      ///< most_stream_bytes()
  std::int64_t available = 0;  ///< bytes of memory on the coordinator's host
};

/// Why a run with these sizes cannot begin, and what to do about it; empty where it can.
std::string objection_to(const StreamSizes& sizes);

}  // namespace outerloop::cli
