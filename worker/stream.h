#pragma once
// A stream of tasks, or of several side by side: sample them, unroll them truncation by truncation, sample
// the next.
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "common/data/task.h"
#include "common/rule/engine.h"
#include "common/rule/estimator.h"
#include "common/store/files.h"
#include "worker/prefetch.h"

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
  std::int64_t group = 1;           ///< lanes of a stream: tasks side by side
  /// Of several lanes, one whose gradient has a larger norm begins its next task. The gradient of a single
  /// lane is the coordinator's to refuse.
  double reject_norm = std::numeric_limits<double>::infinity();
  std::int64_t threads = 1;  ///< that prepare the minibatches of all lanes; the bits do not depend on it
};

/// One lane's part in a truncation.
struct LaneStep {
  std::uint32_t task = 0;
  std::string dataset;
  rule::TruncationResult result;  ///< its φ has gone to the lane's state
  double norm = 0.0;              ///< of d_theta
  bool too_long = false;          ///< above StreamContext::reject_norm

  /// Whether it has a gradient to give.
  bool counts() const { return result.outcome == rule::Outcome::finished && !too_long; }
};

/// One truncation of a stream.
struct StreamStep {
  std::uint32_t task = 0;   ///< the round
  std::int64_t step = 0;    ///< inner steps of the round before this truncation
  std::int64_t length = 0;  ///< k
  data::Domain domain = data::Domain::images;
  std::vector<LaneStep> lanes;
};

/// Its lanes have one task each; all begin a round together. Lane l draws by the number lane_stream(), what
/// decides shapes is that of the round (data::Round). A lane whose task ends early begins its next one within
/// the round, which ends early only where no lane has a gradient to give. The next round is numbered above
/// all tasks so far.
class Stream {
 public:
  /// Continues from `state`; no lanes mean that its round has not begun.
  Stream(const StreamContext& context, store::StreamState state);

  /// Computes one truncation with θ of `update`. Begins the next round after the last inner step, or if there
  /// was no gradient.
  StreamStep advance(const std::vector<double>& theta, std::int64_t update);

  /// The same with minibatches that the caller has prepared: those of next_minibatches(update).
  StreamStep advance(const std::vector<double>& theta, std::int64_t update, const Minibatches& data);

  /// The minibatches of the next truncation.
  MinibatchRequest next_minibatches(std::int64_t update) const;

  /// Those of the truncation after `next`, the next one, if all lanes continue their tasks; nothing if the
  /// round ends with `next`.
  std::optional<MinibatchRequest> minibatches_after(const MinibatchRequest& next, std::int64_t update) const;

  /// Abandons the current tasks of all lanes for a new round.
  void begin_next_task();

  /// The state between two truncations.
  const store::StreamState& state() const { return state_; }

 private:
  void begin_round(std::uint32_t index);
  void begin_task(std::size_t lane, std::uint32_t index);
  void resume_task(std::size_t lane);
  void check_pairs(const store::LaneState& lane) const;
  data::Task task_of(std::size_t lane, std::uint32_t index) const;
  std::uint32_t number_of(std::size_t lane) const;
  std::int64_t begun_at(std::int64_t update) const;
  std::int64_t round_length(std::int64_t update) const;
  std::int64_t draw_length(std::uint32_t truncation) const;
  std::int64_t next_length(std::int64_t update) const;
  std::vector<rule::TruncationResult> truncate(const std::vector<double>& theta, const Minibatches& data,
                                               std::vector<std::vector<rule::PerturbedPair>>& pairs) const;
  LaneStep take(std::size_t lane, rule::TruncationResult result);

  StreamContext context_;
  store::StreamState state_;
  data::Round round_;
  std::vector<data::Task> tasks_;  ///< [lanes]
};

}  // namespace outerloop::worker
