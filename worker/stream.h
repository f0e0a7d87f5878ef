#pragma once
// A stream of tasks: sample a task, unroll it truncation by truncation, sample the next.
#include <cstdint>
#include <string>
#include <vector>

#include "common/data/task.h"
#include "common/rule/engine.h"
#include "common/rule/estimator.h"
#include "common/store/files.h"

namespace outerloop::worker {

/// Longer tasks as meta-training proceeds: at most low · (high / low)^min(u / updates, 1) inner steps for a
/// task that begins at update u of θ. Early rules do not stay stable for long.
struct Curriculum {
  std::int64_t updates = 0;  ///< 0: no curriculum
  std::int64_t low = 0;      ///< inner steps
  std::int64_t high = 0;

  std::int64_t limit(std::int64_t update) const;
};

/// Shared by all streams of a worker. References must outlive the streams.
struct StreamContext {
  rule::Engine& engine;
  const data::TaskDistribution& tasks;
  std::uint64_t seed = 0;
  std::int64_t min_length = 0;  ///< k of a truncation, both ends included; at least 1
  std::int64_t max_length = 0;
  Curriculum curriculum{};
  rule::EstimatorOptions estimator{};
  bool log_uniform_length = false;  ///< k is log-uniform instead of uniform
};

/// One truncation of a stream.
struct StreamStep {
  std::uint32_t task = 0;
  std::int64_t step = 0;    ///< inner steps of the task before this truncation
  std::int64_t length = 0;  ///< k
  std::string dataset;
  data::Domain domain = data::Domain::images;
  rule::TruncationResult result;
};

class Stream {
 public:
  /// Continues from `state`; an empty φ means that its task has not begun.
  Stream(const StreamContext& context, store::StreamState state);

  /// Computes one truncation with θ of `update`. Begins the next task after the last inner step, or if the
  /// outcome is not `finished`.
  StreamStep advance(const std::vector<double>& theta, std::int64_t update);

  /// Abandons the current task for the next one.
  void begin_next_task() { begin_task(state_.task + 1); }

  /// The state between two truncations.
  const store::StreamState& state() const { return state_; }

 private:
  void begin_task(std::uint32_t index);
  void check_pairs() const;
  std::int64_t draw_length() const;

  StreamContext context_;
  store::StreamState state_;
  data::Task task_;
};

}  // namespace outerloop::worker
