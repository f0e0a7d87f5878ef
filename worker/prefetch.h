#pragma once
// Prefetching of minibatches: those of one truncation, prepared by a background thread while the engine
// computes another.
#include <cstdint>
#include <memory>
#include <vector>

#include "common/data/task.h"
#include "common/rule/engine.h"

namespace outerloop::worker {

/// The minibatches of a truncation: [lanes][inner steps].
using Minibatches = std::vector<std::vector<rule::StepData>>;

/// All that decides them, apart from the task distribution.
struct MinibatchRequest {
  std::uint32_t stream = 0;
  std::uint32_t round = 0;          ///< a lane's task is drawn within it
  std::vector<data::Task> tasks;    ///< [lanes]
  std::vector<std::int64_t> steps;  ///< [lanes]: inner steps of the task before the truncation
  std::int64_t length = 0;          ///< k; below 1: none

  /// Whether two requests to one distribution, with as many lanes, have the same minibatches.
  bool matches(const MinibatchRequest& other) const;
};

/// Prepares them on up to `threads` threads, this one among them.
Minibatches prepare_minibatches(const data::TaskDistribution& tasks, const MinibatchRequest& request,
                                std::int64_t threads);

/// Holds the minibatches of one truncation at most. The minibatches that take() returns are the same
/// whether they were prepared in advance or not.
class Prefetch {
 public:
  /// `tasks` must outlive this object. `threads`: that prepare.
  Prefetch(const data::TaskDistribution& tasks, std::int64_t threads);
  ~Prefetch();
  Prefetch(Prefetch&&) noexcept;

  /// Begins to prepare in the background; discards what was prepared before.
  void begin(MinibatchRequest request);

  /// Minibatches prepared in advance, where `request` matches; else discards those and prepares now.
  /// Throws what preparing them has thrown.
  Minibatches take(const MinibatchRequest& request);

  /// The number of calls of take() that returned minibatches prepared in advance.
  std::int64_t used() const { return used_; }

 private:
  class Preparation;

  const data::TaskDistribution* tasks_;
  std::int64_t threads_;
  std::unique_ptr<Preparation> ahead_;
  std::int64_t used_ = 0;
};

}  // namespace outerloop::worker
