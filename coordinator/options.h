#pragma once
// Options of the coordinator: the batch, limits, staleness, the outer optimizer, checkpoints, failures.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/adam.h"
#include "coordinator/evaluations.h"
#include "coordinator/profile.h"
#include "coordinator/step_back.h"

namespace outerloop::coordinator {

/// No defaults here; they are in config.proto. Batch, streams and deadline must be above 0.
struct CoordinatorOptions {
  /// An update takes exactly one gradient of every stream, computed with the current θ, summed in stream
  /// order. The loss of a worker returns the run to the last checkpoint. `batch` must equal `streams`.
  bool deterministic = false;
  std::int64_t updates = 0;  ///< 0: no limit
  double seconds = 0.0;      ///< 0: no limit
  std::int64_t batch = 0;    ///< gradients per update
  std::int64_t streams = 0;
  std::int64_t group = 1;  ///< lanes of a stream: tasks side by side, whose gradients it averages
  /// Limit in bytes on one answer with states of streams; a single stream may exceed it.
  std::int64_t assign_bytes = std::int64_t{1} << 28;
  std::int64_t staleness_bound = 0;  ///< updates; ignored (0) in deterministic mode
  double reject_norm = 0.0;          ///< gradients of a larger norm are rejected
  double gradient_norm_clip = 0.0;   ///< workers scale gradients down to this norm; 0: no clipping
  /// Names of the training datasets; others are rejected. Empty: any name is accepted.
  std::set<std::string> datasets;
  /// Whether φ of a base model with these units has this many values; others are rejected. None: any is
  /// accepted.
  std::function<bool(const std::vector<std::int64_t>& units, std::size_t values)> phi_fits;
  double batch_norm_clip = 0.0;                       ///< 0: no clipping
  std::string revision;                               ///< of the program; others cause a warning
  std::map<std::string, std::string> dataset_sha256;  ///< by place and name; others cause a warning
  AdamOptions adam;
  double average_decay = 0.0;  ///< 0: no average of θ is kept
  StepBackOptions step_back;
  std::int64_t checkpoint_every = 0;  ///< updates; 0: only at the end
  std::int64_t theta_snapshots = 0;   ///< per tenfold of updates (is_snapshot()); 0: none
  std::int64_t max_failures = 0;      ///< per hour
  double deadline = 0.0;              ///< seconds without progress after which a worker counts as lost
  double silence = 0.0;               ///< keep-alive time-out in seconds, for the log line
  /// The caller replaces lost workers and announces them with expect(). A run without workers continues as
  /// long as one is expected.
  bool replaces = false;
  EvaluationOptions evaluation;
  std::optional<BestRule> best;  ///< from earlier evaluations of this run
  Profiler* profiler = nullptr;  ///< outlives the coordinator
};

/// 2·⌈workers / batch⌉: if workers take turns, a gradient is ⌈workers / batch⌉ updates behind.
inline std::int64_t default_staleness_bound(std::int64_t workers, std::int64_t batch) {
  return 2 * ((workers + batch - 1) / batch);
}

}  // namespace outerloop::coordinator
