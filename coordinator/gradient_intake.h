#pragma once
// The gradients of the next update: which are accepted, which are rejected and why, and when a batch is full.
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/net/transport.h"
#include "coordinator/gradient_batch.h"
#include "coordinator/options.h"
#include "coordinator/refusal.h"
#include "outerloop/messages.pb.h"

namespace outerloop::coordinator {

/// The outcome for one gradient.
struct Verdict {
  Refusal refusal = Refusal::none;
  /// Deterministic mode: rejected, and counted as zero in its stream's place. Its count is in
  /// FullBatch::zeros.
  bool counts_as_zero = false;
};

/// The input of one update.
struct FullBatch {
  std::vector<double> mean;  ///< [parameters], clipped
  BatchSummary summary;
  std::vector<GradientNote> notes;               ///< of the gradients in the mean
  std::vector<std::pair<int, Refusal>> zeros;    ///< (worker, cause) of those counted as zero
  std::map<std::string, double> domain_cosines;  ///< of the window that ends with this update, if any
};

class GradientIntake {
 public:
  /// `parameters`: the number in θ.
  GradientIntake(const CoordinatorOptions& options, std::size_t parameters);
  GradientIntake(const GradientIntake&) = delete;
  GradientIntake& operator=(const GradientIntake&) = delete;

  /// Accepts or rejects a gradient of this segment from worker `from`, while θ is that of `update`.
  Verdict take(int from, const proto::Gradient& gradient, net::FloatView floats, std::int64_t update);

  /// Asynchronous: `batch` gradients have arrived. Deterministic: every stream's place is filled.
  bool full() const { return deterministic_ ? order_.complete() : batch_.size() == size_; }
  /// Gradients so far; in deterministic mode including those that count as zero.
  std::int64_t size() const { return deterministic_ ? order_.size() : batch_.size(); }

  /// The full batch for `update`; the next one begins empty.
  FullBatch take_batch(std::int64_t update);
  /// Discards all gradients.
  void clear();

 private:
  Refusal refusal(const proto::Gradient& gradient, std::size_t floats, std::int64_t update) const;

  bool deterministic_;
  std::int64_t size_;  ///< gradients per update
  std::int64_t streams_;
  std::int64_t staleness_bound_;
  double reject_norm_;
  std::set<std::string> datasets_;
  double batch_norm_clip_;
  std::size_t parameters_;
  DomainCosines cosines_;
  GradientBatch batch_;
  StreamOrder order_;  ///< deterministic mode only
  std::vector<std::pair<int, Refusal>> zeros_;
};

}  // namespace outerloop::coordinator
