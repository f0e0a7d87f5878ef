#pragma once
// Speed of a run before it begins: gradients per second, estimated from a few truncations.
#include "common/config/settings.h"
#include "common/data/task.h"
#include "common/rule/engine.h"

namespace outerloop::cli {

/// Gradients of one update, counted by task: tasks.group in each of `batch`.
std::int64_t gradients_per_update(const proto::Config& config);

/// Gradients per second of this rank, counted by task. Start-up waits for this, so it takes a fraction of a
/// second if possible: it times truncations of one and of three inner steps, of a typical task of `rank`. The
/// cost of a truncation is linear in its steps.
double measure_pace(rule::Engine& engine, const data::TaskDistribution& tasks,
                    const config::Settings& settings, int rank);

/// The same for a run in one process, which computes nothing while it writes a checkpoint for
/// `checkpoint_seconds`.
double pace_with_checkpoints(double gradients_per_second, const proto::Config& config,
                             double checkpoint_seconds);

}  // namespace outerloop::cli
