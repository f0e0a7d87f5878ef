#include "coordinator/gradient_batch.h"

#include <algorithm>
#include <cmath>

#include "common/rule/error.h"

namespace outerloop::coordinator {
namespace {

BatchSummary summarise(const std::vector<GradientNote>& notes) {
  BatchSummary summary;
  const auto count = static_cast<double>(notes.size());
  std::set<int> workers;
  std::map<std::string, std::int64_t> of_dataset;
  for (const auto& note : notes) {
    summary.meta_objective += note.meta_objective / count;
    summary.worker_gradient_norm += note.norm / count;
    summary.staleness_mean += static_cast<double>(note.staleness) / count;
    summary.staleness_max = std::max(summary.staleness_max, note.staleness);
    summary.meta_objective_of[note.dataset] += note.meta_objective;
    ++of_dataset[note.dataset];
    workers.insert(note.worker);
  }
  for (auto& [dataset, total] : summary.meta_objective_of) total /= static_cast<double>(of_dataset[dataset]);
  summary.gradients = static_cast<std::int64_t>(notes.size());
  summary.unique_workers = static_cast<std::int64_t>(workers.size());
  return summary;
}

}  // namespace

void GradientBatch::add(const std::vector<float>& gradient, GradientNote note) {
  OUTERLOOP_CHECK_EQ(gradient.size(), sum_.size());
  for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += static_cast<double>(gradient[i]);
  notes_.push_back(std::move(note));
}

std::vector<double> GradientBatch::take(double clip, BatchSummary& summary) {
  OUTERLOOP_CHECK(!notes_.empty(), "an empty batch");
  summary = summarise(notes_);
  std::vector<double> mean(sum_.size());
  double squares = 0.0;
  for (std::size_t i = 0; i < sum_.size(); ++i) {
    mean[i] = sum_[i] / static_cast<double>(notes_.size());
    squares += mean[i] * mean[i];
  }
  summary.gradient_norm = std::sqrt(squares);
  if (clip > 0.0 && summary.gradient_norm > clip)
    for (auto& value : mean) value *= clip / summary.gradient_norm;
  std::fill(sum_.begin(), sum_.end(), 0.0);
  notes_.clear();
  return mean;
}

}  // namespace outerloop::coordinator
