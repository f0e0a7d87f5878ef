#pragma once
// Gathers the gradients of one update: as they come, or in the order of their streams.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace outerloop::coordinator {

/// What is said of one update, beside θ itself. Means are over its gradients; NaN where it has none.
struct BatchSummary {
  std::int64_t gradients = 0;
  double meta_objective = 0.0;
  double worker_gradient_norm = 0.0;  ///< of the norms before any clipping
  double gradient_norm = 0.0;         ///< of the mean gradient, before clip.batch_norm
  /// Mean cosine between two of its gradients: do tasks agree on where θ should go? NaN for fewer than two.
  double gradient_cosine = 0.0;
  double staleness_mean = 0.0;  ///< updates by which θ had moved on
  std::int64_t staleness_max = 0;
  std::int64_t unique_workers = 0;
  std::map<std::string, double> meta_objective_of;  ///< by dataset
  std::map<std::string, double> gradient_norm_of;   ///< by dataset: mean of the norms before any clipping
  std::map<int, std::int64_t> gradients_of;         ///< by worker
};

/// What is known of one accepted gradient.
struct GradientNote {
  int worker = 0;
  double meta_objective = 0.0;
  double norm = 0.0;
  std::int64_t staleness = 0;
  std::string dataset;
};

class GradientBatch {
 public:
  /// `parameters`: those of θ.
  explicit GradientBatch(std::size_t parameters) : sum_(parameters), directions_(parameters) {}

  std::int64_t size() const { return static_cast<std::int64_t>(notes_.size()); }
  const std::vector<GradientNote>& notes() const { return notes_; }
  /// Adds a gradient of as many numbers as θ has parameters.
  void add(const std::vector<float>& gradient, GradientNote note);

  /// The sum over `divisor`, scaled down to the norm `clip` (0: not), and its summary; empties the batch.
  std::vector<double> take(std::int64_t divisor, double clip, BatchSummary& summary);
  void clear();

 private:
  double mean_cosine() const;

  std::vector<double> sum_;
  std::vector<double> directions_;  ///< sum of the gradients at unit length
  std::int64_t directed_ = 0;       ///< gradients in it: those that are not zero
  std::vector<GradientNote> notes_;
};

/// One gradient of every stream, whatever the order of arrival, into a batch in stream order: floating-point
/// sums depend on their order. Those that come early are kept until it is their turn.
class StreamOrder {
 public:
  explicit StreamOrder(std::int64_t streams) : streams_(streams) {}

  bool has(std::uint32_t stream) const { return stream < next_ || early_.count(stream) > 0; }
  /// Gradients here and in the batch since the last clear(); refused ones count too.
  std::int64_t size() const { return next_ + static_cast<std::int64_t>(early_.size()); }
  bool complete() const { return next_ == streams_; }

  void put(std::uint32_t stream, std::vector<float> gradient, GradientNote note, GradientBatch& batch);
  /// A refused gradient: counts as zero.
  void skip(std::uint32_t stream, GradientBatch& batch);
  void clear();

 private:
  struct Early {
    std::vector<float> gradient;
    GradientNote note;
  };
  void keep(std::uint32_t stream, std::optional<Early> early, GradientBatch& batch);

  std::int64_t streams_;
  std::int64_t next_ = 0;  ///< all streams before it are in the batch
  std::map<std::int64_t, std::optional<Early>> early_;
};

}  // namespace outerloop::coordinator
