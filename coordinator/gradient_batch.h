#pragma once
// Sum and statistics of the gradients of one update, in order of arrival or of streams.
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/data/domain.h"
#include "common/net/transport.h"
#include "coordinator/domain_cosines.h"
#include "coordinator/refusal.h"

namespace outerloop::coordinator {

/// Statistics of one update. Gradients are counted by task: the mean of several lanes counts once per lane.
/// Means are over its gradients; NaN if it has none.
struct BatchSummary {
  std::int64_t gradients = 0;
  double meta_objective = 0.0;
  double worker_gradient_norm = 0.0;  ///< of the norms before any clipping
  double gradient_norm = 0.0;         ///< of the mean gradient, before clip.batch_norm
  /// Mean cosine between two of its gradients as received, weighted by the product of their norms: how far
  /// tasks agree on the direction of θ. NaN for fewer than two non-zero gradients.
  double gradient_cosine = 0.0;
  double staleness_mean = 0.0;  ///< updates since the θ of the gradient
  std::int64_t staleness_max = 0;
  std::map<std::int64_t, std::int64_t> gradients_by_staleness{};
  std::int64_t unique_workers = 0;
  std::map<std::string, double> meta_objective_of;  ///< by dataset
  std::map<std::string, double> meta_objective_of_domain;
  std::map<std::string, double> gradient_norm_of;  ///< by dataset: mean of the norms before any clipping
  std::map<int, std::int64_t> gradients_of;        ///< by worker
};

/// Metadata of one task's gradient within an accepted one.
struct GradientNote {
  int worker = 0;
  double meta_objective = 0.0;
  double norm = 0.0;
  std::int64_t staleness = 0;
  std::string dataset;
  data::Domain domain = data::Domain::images;
};

class GradientBatch {
 public:
  /// `parameters`: the number in θ. A gradient whose norm, as received, exceeds `most_norm` is rejected.
  explicit GradientBatch(std::size_t parameters, double most_norm = std::numeric_limits<double>::infinity())
      : most_norm_(most_norm), sum_(parameters), next_sum_(parameters) {}

  std::int64_t size() const { return size_; }
  /// One note for each task's gradient in the sum: one per stream, or one per lane with a gradient.
  const std::vector<GradientNote>& notes() const { return notes_; }

  /// Adds a gradient [parameters] in one pass over its bytes, or returns why it was rejected (not_finite or
  /// norm). A rejected gradient changes nothing. `notes`: one per task, at least one, all of one domain.
  Refusal add(net::FloatView gradient, std::vector<GradientNote> notes);
  /// Also adds later gradients to `cosines`, which must outlive the batch; nullptr: stops.
  void watch(DomainCosines* cosines) { cosines_ = cosines; }
  /// What add() would return.
  Refusal refusal(net::FloatView gradient) const;

  /// The sum divided by `divisor`, scaled down to the norm `clip` (0: no clipping), and its statistics.
  /// Empties the batch.
  std::vector<double> take(std::int64_t divisor, double clip, BatchSummary& summary);
  void clear();

 private:
  Refusal judge(double squares) const;
  double mean_cosine(double squares_of_sum) const;

  double most_norm_;
  std::vector<double> sum_;
  std::vector<double> next_sum_;  ///< buffer for the sum with the next gradient
  double norms_ = 0.0;            ///< sum of the gradients' norms as received
  double squares_ = 0.0;          ///< sum of their squares
  std::int64_t directed_ = 0;     ///< gradients that are not zero
  std::int64_t size_ = 0;         ///< gradients in the sum
  std::vector<GradientNote> notes_;
  DomainCosines* cosines_ = nullptr;
};

/// Adds one gradient of every stream to a batch in stream order, whatever the order of arrival:
/// floating-point sums depend on their order. Early gradients are buffered.
class StreamOrder {
 public:
  explicit StreamOrder(std::int64_t streams) : streams_(streams) {}

  bool has(std::uint32_t stream) const { return stream < next_ || early_.count(stream) > 0; }
  /// Gradients buffered or in the batch since the last clear(), including rejected ones.
  std::int64_t size() const { return next_ + static_cast<std::int64_t>(early_.size()); }
  bool complete() const { return next_ == streams_; }

  /// Adds or buffers the gradient, or returns why the batch rejects it.
  Refusal put(std::uint32_t stream, net::FloatView gradient, std::vector<GradientNote> notes,
              GradientBatch& batch);
  /// Counts a rejected gradient as zero.
  void skip(std::uint32_t stream, GradientBatch& batch);
  void clear();

 private:
  struct Early {
    std::vector<float> gradient;
    std::vector<GradientNote> notes;
  };
  void keep(std::uint32_t stream, std::optional<Early> early, GradientBatch& batch);
  void add_waiting(GradientBatch& batch);

  std::int64_t streams_;
  std::int64_t next_ = 0;  ///< all streams before it are in the batch
  std::map<std::int64_t, std::optional<Early>> early_;
};

}  // namespace outerloop::coordinator
