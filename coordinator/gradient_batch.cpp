#include "coordinator/gradient_batch.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/rule/error.h"

namespace outerloop::coordinator {
namespace {

BatchSummary summarise(const std::vector<GradientNote>& notes) {
  BatchSummary summary;
  const auto count = static_cast<double>(notes.size());
  std::map<std::string, std::int64_t> of_dataset;
  for (const auto& note : notes) {
    summary.meta_objective += note.meta_objective / count;
    summary.worker_gradient_norm += note.norm / count;
    summary.staleness_mean += static_cast<double>(note.staleness) / count;
    summary.staleness_max = std::max(summary.staleness_max, note.staleness);
    summary.meta_objective_of[note.dataset] += note.meta_objective;
    summary.gradient_norm_of[note.dataset] += note.norm;
    ++of_dataset[note.dataset];
    ++summary.gradients_of[note.worker];
  }
  for (const auto& [dataset, gradients] : of_dataset) {
    summary.meta_objective_of[dataset] /= static_cast<double>(gradients);
    summary.gradient_norm_of[dataset] /= static_cast<double>(gradients);
  }
  summary.gradients = static_cast<std::int64_t>(notes.size());
  summary.unique_workers = static_cast<std::int64_t>(summary.gradients_of.size());
  if (notes.empty())
    summary.meta_objective = summary.worker_gradient_norm = summary.staleness_mean =
        std::numeric_limits<double>::quiet_NaN();
  return summary;
}

}  // namespace

void GradientBatch::add(const std::vector<float>& gradient, GradientNote note) {
  OUTERLOOP_CHECK_EQ(gradient.size(), sum_.size());
  double squares = 0.0;
  for (std::size_t i = 0; i < sum_.size(); ++i) {
    const auto value = static_cast<double>(gradient[i]);
    sum_[i] += value;
    squares += value * value;
  }
  notes_.push_back(std::move(note));
  if (!(squares > 0.0)) return;
  const double length = std::sqrt(squares);
  for (std::size_t i = 0; i < sum_.size(); ++i) directions_[i] += static_cast<double>(gradient[i]) / length;
  ++directed_;
}

/// Of unit vectors u: |Σu|² = n + n (n − 1) · mean cosine.
double GradientBatch::mean_cosine() const {
  if (directed_ < 2) return std::numeric_limits<double>::quiet_NaN();
  double squares = 0.0;
  for (const double value : directions_) squares += value * value;
  const auto n = static_cast<double>(directed_);
  return (squares - n) / (n * (n - 1.0));
}

std::vector<double> GradientBatch::take(std::int64_t divisor, double clip, BatchSummary& summary) {
  OUTERLOOP_CHECK(divisor >= size() && divisor > 0, "a divisor of " + std::to_string(divisor));
  summary = summarise(notes_);
  std::vector<double> mean(sum_.size());
  double squares = 0.0;
  for (std::size_t i = 0; i < sum_.size(); ++i) {
    mean[i] = sum_[i] / static_cast<double>(divisor);
    squares += mean[i] * mean[i];
  }
  summary.gradient_norm = std::sqrt(squares);
  summary.gradient_cosine = mean_cosine();
  if (clip > 0.0 && summary.gradient_norm > clip)
    for (auto& value : mean) value *= clip / summary.gradient_norm;
  clear();
  return mean;
}

void GradientBatch::clear() {
  std::fill(sum_.begin(), sum_.end(), 0.0);
  std::fill(directions_.begin(), directions_.end(), 0.0);
  directed_ = 0;
  notes_.clear();
}

void StreamOrder::put(std::uint32_t stream, std::vector<float> gradient, GradientNote note,
                      GradientBatch& batch) {
  keep(stream, Early{std::move(gradient), std::move(note)}, batch);
}

void StreamOrder::skip(std::uint32_t stream, GradientBatch& batch) { keep(stream, std::nullopt, batch); }

void StreamOrder::keep(std::uint32_t stream, std::optional<Early> early, GradientBatch& batch) {
  OUTERLOOP_CHECK(stream < streams_ && !has(stream), "stream " + std::to_string(stream));
  early_.emplace(stream, std::move(early));
  for (auto first = early_.begin(); first != early_.end() && first->first == next_; ++next_) {
    if (first->second) batch.add(first->second->gradient, std::move(first->second->note));
    first = early_.erase(first);
  }
}

void StreamOrder::clear() {
  next_ = 0;
  early_.clear();
}

}  // namespace outerloop::coordinator
