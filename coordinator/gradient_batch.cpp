#include "coordinator/gradient_batch.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>

#include "common/base/error.h"

namespace outerloop::coordinator {
namespace {

BatchSummary summarise(const std::vector<GradientNote>& notes) {
  BatchSummary summary;
  const auto count = static_cast<double>(notes.size());
  std::map<std::string, std::int64_t> of_dataset, of_domain;
  for (const auto& note : notes) {
    summary.meta_objective += note.meta_objective / count;
    summary.worker_gradient_norm += note.norm / count;
    summary.staleness_mean += static_cast<double>(note.staleness) / count;
    summary.staleness_max = std::max(summary.staleness_max, note.staleness);
    summary.meta_objective_of[note.dataset] += note.meta_objective;
    summary.gradient_norm_of[note.dataset] += note.norm;
    ++of_dataset[note.dataset];
    summary.meta_objective_of_domain[data::domain_name(note.domain)] += note.meta_objective;
    ++of_domain[data::domain_name(note.domain)];
    ++summary.gradients_of[note.worker];
    ++summary.gradients_by_staleness[note.staleness];
  }
  for (const auto& [dataset, gradients] : of_dataset) {
    summary.meta_objective_of[dataset] /= static_cast<double>(gradients);
    summary.gradient_norm_of[dataset] /= static_cast<double>(gradients);
  }
  for (const auto& [domain, gradients] : of_domain)
    summary.meta_objective_of_domain[domain] /= static_cast<double>(gradients);
  summary.gradients = static_cast<std::int64_t>(notes.size());
  summary.unique_workers = static_cast<std::int64_t>(summary.gradients_of.size());
  if (notes.empty())
    summary.meta_objective = summary.worker_gradient_norm = summary.staleness_mean =
        std::numeric_limits<double>::quiet_NaN();
  return summary;
}

// Independent partial sums: a single sum would stall on the latency of each addition.
constexpr std::size_t kLanes = 16;

/// The sum of squares of a gradient; also calls `each(i, number)` for every element.
template <class Each>
double sum_of_squares(net::FloatView gradient, const Each& each) {
  const std::size_t size = gradient.size(), whole = size - size % kLanes;
  double lanes[kLanes] = {};
  for (std::size_t i = 0; i < whole; i += kLanes)
    for (std::size_t j = 0; j < kLanes; ++j) {
      const auto value = static_cast<double>(gradient[i + j]);
      each(i + j, value);
      lanes[j] += value * value;
    }
  for (std::size_t i = whole; i < size; ++i) {
    const auto value = static_cast<double>(gradient[i]);
    each(i, value);
    lanes[0] += value * value;
  }
  return std::accumulate(std::begin(lanes), std::end(lanes), 0.0);
}

}  // namespace

/// A sum of squares is finite exactly if all elements are: squares of float32 cannot overflow float64.
Refusal GradientBatch::judge(double squares) const {
  constexpr double kRounding = 1.0 + 1e-5;  // a worker's float64 norm against that of its float32 numbers
  if (!std::isfinite(squares)) return Refusal::not_finite;
  return std::sqrt(squares) > most_norm_ * kRounding ? Refusal::norm : Refusal::none;
}

/// The new sum goes to a second buffer, so a rejected gradient changes no bit.
Refusal GradientBatch::add(net::FloatView gradient, std::vector<GradientNote> notes) {
  OUTERLOOP_CHECK(!notes.empty(), "a gradient of no task");
  OUTERLOOP_CHECK_EQ(gradient.size(), sum_.size());
  const double* __restrict sum = sum_.data();
  double* __restrict next = next_sum_.data();
  const double squares =
      sum_of_squares(gradient, [=](std::size_t i, double value) { next[i] = sum[i] + value; });
  if (const Refusal cause = judge(squares); cause != Refusal::none) return cause;
  sum_.swap(next_sum_);
  if (cosines_ != nullptr) cosines_->add(notes.front().domain, gradient, squares);
  std::move(notes.begin(), notes.end(), std::back_inserter(notes_));
  ++size_;
  squares_ += squares;
  norms_ += std::sqrt(squares);
  if (squares > 0.0) ++directed_;
  return Refusal::none;
}

Refusal GradientBatch::refusal(net::FloatView gradient) const {
  return judge(sum_of_squares(gradient, [](std::size_t, double) {}));
}

/// |Σg|² = Σ|g|² + Σ over pairs of |a| |b| cos(a, b), each pair twice; (Σ|g|)² = Σ|g|² + Σ over pairs of |a|
/// |b|.
double GradientBatch::mean_cosine(double squares_of_sum) const {
  if (directed_ < 2) return std::numeric_limits<double>::quiet_NaN();
  return (squares_of_sum - squares_) / (norms_ * norms_ - squares_);
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
  const auto count = static_cast<double>(divisor);
  summary.gradient_cosine = mean_cosine(squares * count * count);
  if (clip > 0.0 && summary.gradient_norm > clip)
    for (auto& value : mean) value *= clip / summary.gradient_norm;
  clear();
  return mean;
}

void GradientBatch::clear() {
  std::fill(sum_.begin(), sum_.end(), 0.0);
  norms_ = squares_ = 0.0;
  directed_ = size_ = 0;
  notes_.clear();
}

Refusal StreamOrder::put(std::uint32_t stream, net::FloatView gradient, std::vector<GradientNote> notes,
                         GradientBatch& batch) {
  if (stream != next_) {
    const Refusal cause = batch.refusal(gradient);
    if (cause == Refusal::none) keep(stream, Early{gradient.copy(), std::move(notes)}, batch);
    return cause;
  }
  if (const Refusal cause = batch.add(gradient, std::move(notes)); cause != Refusal::none) return cause;
  ++next_;
  add_waiting(batch);
  return Refusal::none;
}

void StreamOrder::skip(std::uint32_t stream, GradientBatch& batch) { keep(stream, std::nullopt, batch); }

void StreamOrder::keep(std::uint32_t stream, std::optional<Early> early, GradientBatch& batch) {
  OUTERLOOP_CHECK(stream < streams_ && !has(stream), "stream " + std::to_string(stream));
  early_.emplace(stream, std::move(early));
  add_waiting(batch);
}

/// Adds the buffered gradients that are next in order.
void StreamOrder::add_waiting(GradientBatch& batch) {
  for (auto first = early_.begin(); first != early_.end() && first->first == next_; ++next_) {
    if (first->second) batch.add(first->second->gradient, std::move(first->second->notes));
    first = early_.erase(first);
  }
}

void StreamOrder::clear() {
  next_ = 0;
  early_.clear();
}

}  // namespace outerloop::coordinator
