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
  std::vector<Refusal> lanes{};  ///< causes to be counted now: of all lanes of a refused gradient
};

/// The input of one update.
struct FullBatch {
  std::vector<double> mean;  ///< [parameters], clipped
  BatchSummary summary;
  std::vector<GradientNote> notes;               ///< of the tasks' gradients in the mean
  std::vector<std::pair<int, Refusal>> zeros;    ///< (worker, cause) of the lanes counted as zero
  std::map<std::string, double> domain_cosines;  ///< of the window that ends with this update, if any
};

class GradientIntake {
 public:
  /// `parameters`: the number in θ.
  GradientIntake(const CoordinatorOptions& options, std::size_t parameters);
  GradientIntake(const GradientIntake&) = delete;
  GradientIntake& operator=(const GradientIntake&) = delete;

  /// Accepts or rejects a gradient of this segment from worker `from`, while θ is that of `update`. A lane
  /// for which the worker reports no gradient counts as zero in the mean.
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
  using Lanes = std::vector<proto::Gradient::Lane>;
  std::vector<Refusal> refusals(const proto::Gradient& gradient, const Lanes& lanes, std::size_t floats,
                                std::int64_t update) const;
  Refusal refusal(const proto::Gradient::Lane& lane) const;
  Verdict refuse(int from, std::uint32_t stream, const std::vector<Refusal>& causes);

  bool deterministic_;
  std::int64_t size_;  ///< gradients per update
  std::int64_t streams_;
  std::size_t group_;  ///< lanes of a gradient
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
