#include "coordinator/step_back.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "coordinator/smoothed_objective.h"

namespace outerloop::coordinator {

StepBack::StepBack(const StepBackOptions& options, const store::Checkpoint& start)
    : options_(options), safe_(start.safe_point), lowest_(std::numeric_limits<double>::infinity()) {
  const auto updates = start.history.find("update"), smooth = start.history.find("meta_objective_smooth");
  if (updates == start.history.end() || smooth == start.history.end()) return;
  for (std::size_t i = SmoothedObjective::first_known(start.history); i < smooth->second.size(); ++i)
    if (updates->second[i] >= static_cast<double>(options_.every_updates))
      lowest_ = std::min(lowest_, smooth->second[i]);
}

bool StepBack::diverged(bool finite, std::int64_t update, double smooth, std::int64_t steps_back) const {
  if (options_.tolerance <= 0.0 || !safe_ || steps_back >= options_.most) return false;
  // Right after a step back, the running mean does not reflect it yet.
  return !finite || (update > safe_->update && smooth > (1.0 + options_.tolerance) * lowest_);
}

bool StepBack::wants_safe_point(std::int64_t update, double smooth) {
  if (options_.tolerance <= 0.0 || update < options_.every_updates) return false;
  lowest_ = std::min(lowest_, smooth);
  const bool near = smooth <= (1.0 + 0.5 * options_.tolerance) * lowest_;
  return near && (!safe_ || update - safe_->update >= options_.every_updates);
}

}  // namespace outerloop::coordinator
