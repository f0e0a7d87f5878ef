#pragma once
// Gathers the gradients of one update.
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace outerloop::coordinator {

/// What is said of one update, beside θ itself.
struct BatchSummary {
  std::int64_t gradients = 0;
  double meta_objective = 0.0;        ///< mean over the gradients
  double worker_gradient_norm = 0.0;  ///< mean of the norms before any clipping
  double gradient_norm = 0.0;         ///< of the mean gradient, before clip.batch_norm
  double staleness_mean = 0.0;        ///< updates by which θ had moved on
  std::int64_t staleness_max = 0;
  std::int64_t unique_workers = 0;
  std::map<std::string, double> meta_objective_of;  ///< by dataset
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
  explicit GradientBatch(std::size_t parameters) : sum_(parameters) {}

  std::int64_t size() const { return static_cast<std::int64_t>(notes_.size()); }
  void add(const std::vector<float>& gradient, GradientNote note);

  /// The mean gradient, scaled down to `clip` (0: not) and its summary; empties the batch.
  std::vector<double> take(double clip, BatchSummary& summary);

 private:
  std::vector<double> sum_;
  std::vector<GradientNote> notes_;
};

}  // namespace outerloop::coordinator
