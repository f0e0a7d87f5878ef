#include "tests/simulation/plain_step_back.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace outerloop::simulation {
namespace {

constexpr std::int64_t kWindow = 50;  // gradients in the running mean, for each lane

std::int64_t count_of(const store::Checkpoint& start, const char* name) {
  const auto found = start.counters.find(name);
  return found == start.counters.end() ? 0 : found->second;
}

bool finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

}  // namespace

PlainStepBack::PlainStepBack(const coordinator::StepBackOptions& options, const store::Checkpoint& start,
                             std::int64_t group)
    : options_(options),
      window_(kWindow * group),
      count_(count_of(start, "smoothed.toy")),
      steps_(count_of(start, coordinator::kStepsBack)),
      safe_(start.safe_point) {
  if (const auto found = start.history.find("meta_objective_smooth"); found != start.history.end())
    smooth_ = found->second;
  if (!smooth_.empty()) mean_ = smooth_.back();
  if (const auto found = start.history.find("meta_objective_smooth.toy"); found != start.history.end())
    for (std::size_t i = found->second.size(); i-- > 0;)
      if (!std::isnan(found->second[i])) first_ = static_cast<std::int64_t>(i) + 1;
}

double PlainStepBack::factor() const {
  return std::pow(options_.learning_rate_factor, static_cast<double>(steps_));
}

void PlainStepBack::add(double meta_objective) {
  count_ = std::min(count_ + 1, window_);
  mean_ += (meta_objective - mean_) / static_cast<double>(count_);
}

std::optional<store::SafePoint> PlainStepBack::after(const store::SafePoint& now) {
  if (count_ == 0) {
    smooth_.push_back(mean_);
    return std::nullopt;
  }
  if (first_ == 0) first_ = now.update;
  const auto every = options_.every_updates;
  double lowest = std::numeric_limits<double>::infinity();
  for (std::int64_t update = std::max(every, first_); update < now.update; ++update)
    lowest = std::min(lowest, smooth_.at(static_cast<std::size_t>(update) - 1));
  const bool sound = finite(now.theta);
  const bool high = mean_ > (1.0 + options_.tolerance) * lowest;
  const bool back = options_.tolerance > 0.0 && safe_ && steps_ < options_.most && (!sound || high);
  if (back) {
    ++steps_;
    mean_ = smooth_.at(static_cast<std::size_t>(safe_->update) - 1);
  }
  smooth_.push_back(mean_);
  if (back) return safe_;
  const bool low = mean_ <= (1.0 + 0.5 * options_.tolerance) * std::min(lowest, mean_);
  if (options_.tolerance > 0.0 && now.update >= every && sound && low &&
      (!safe_ || now.update - safe_->update >= every))
    safe_ = now;
  return std::nullopt;
}

}  // namespace outerloop::simulation
