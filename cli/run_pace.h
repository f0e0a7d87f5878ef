#pragma once
// The pace of a run before it begins: gradients per second, estimated from a few truncations.
#include "common/config/settings.h"
#include "common/data/task.h"
#include "common/rule/engine.h"

namespace outerloop::cli {

/// Gradients that one update takes, counted by task: tasks.group in each of `batch`.
std::int64_t gradients_per_update(const proto::Config& config);

/// Gradients per second of this rank, counted by task. The run waits for it, so it takes a fraction of a
/// second where it can: it times truncations of one and of three inner steps of a typical task among those of
/// `rank`. What a truncation costs grows with its steps along a line.
double measure_pace(rule::Engine& engine, const data::TaskDistribution& tasks,
                    const config::Settings& settings, int rank);

/// Where one process does all, it computes nothing while it writes a checkpoint, which takes
/// `checkpoint_seconds`.
double pace_with_checkpoints(double gradients_per_second, const proto::Config& config,
                             double checkpoint_seconds);

}  // namespace outerloop::cli
