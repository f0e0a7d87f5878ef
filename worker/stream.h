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

/// Tasks get longer as meta-training goes on: one that begins at update u of θ has at most
/// low · (high / low)^min(u / updates, 1) inner steps, so first rules need not hold for long.
struct Curriculum {
  std::int64_t updates = 0;  ///< 0: no curriculum
  std::int64_t low = 0;      ///< inner steps
  std::int64_t high = 0;

  std::int64_t limit(std::int64_t update) const;
};

/// What all streams of a worker share. References outlive the streams.
struct StreamContext {
  rule::Engine& engine;
  const data::TaskDistribution& tasks;
  std::uint64_t seed = 0;
  std::int64_t min_length = 0;  ///< k of a truncation, both ends included; at least 1
  std::int64_t max_length = 0;
  Curriculum curriculum{};
  rule::EstimatorOptions estimator{};
  bool log_uniform_length = false;  ///< k is uniform in its logarithm
};

/// One truncation of a stream.
struct StreamStep {
  std::uint32_t task = 0;
  std::int64_t step = 0;    ///< inner steps of the task before it
  std::int64_t length = 0;  ///< k
  std::string dataset;
  data::Domain domain = data::Domain::images;
  rule::TruncationResult result;
};

class Stream {
 public:
  /// Goes on from `state`; an empty φ means that its task has not begun.
  Stream(const StreamContext& context, store::StreamState state);

  /// One truncation with θ, which is that of `update`. A task that has reached its number of steps, or whose
  /// outcome is not `finished`, gives way to the next.
  StreamStep advance(const std::vector<double>& theta, std::int64_t update);

  /// Gives up the present task for the next.
  void begin_next_task() { begin_task(state_.task + 1); }

  /// Where it stands between two truncations.
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
