#include "coordinator/smoothed_objective.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace outerloop::coordinator {
namespace {

constexpr std::int64_t kWindow = 50;  // gradients of one dataset
const std::string kColumn = "meta_objective_smooth";

}  // namespace

SmoothedObjective::SmoothedObjective(const History& history) {
  const std::string prefix = kColumn + ".";
  for (const auto& [name, column] : history)
    if (name.compare(0, prefix.size(), prefix) == 0 && !column.empty() && std::isfinite(column.back()))
      of_dataset_[name.substr(prefix.size())] = {kWindow, column.back()};
}

void SmoothedObjective::add(const std::string& dataset, double meta_objective) {
  RunningMean& mean = of_dataset_[dataset];
  mean.count = std::min(mean.count + 1, kWindow);
  mean.value += (meta_objective - mean.value) / static_cast<double>(mean.count);
}

double SmoothedObjective::mean() const {
  double sum = 0.0;
  for (const auto& [dataset, mean] : of_dataset_) sum += mean.value;
  return of_dataset_.empty() ? 0.0 : sum / static_cast<double>(of_dataset_.size());
}

void SmoothedObjective::append_to(History& history) const {
  std::vector<double>& all = history[kColumn];
  for (const auto& [dataset, mean] : of_dataset_) {
    std::vector<double>& column = history[kColumn + "." + dataset];
    column.resize(all.size(), std::numeric_limits<double>::quiet_NaN());
    column.push_back(mean.value);
  }
  all.push_back(mean());
}

}  // namespace outerloop::coordinator
