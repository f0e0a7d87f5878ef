#include "coordinator/smoothed_objective.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace outerloop::coordinator {

void SmoothedObjective::go_on_from(const History& history,
                                   const std::map<std::string, std::int64_t>& counters) {
  of_dataset_.clear();
  const std::string prefix = column_ + ".";
  for (const auto& [name, column] : history) {
    if (name.compare(0, prefix.size(), prefix) != 0 || column.empty() || !std::isfinite(column.back()))
      continue;
    const std::string dataset = name.substr(prefix.size());
    const auto counted = counters.find(counter_ + "." + dataset);
    const std::int64_t count = counted == counters.end() ? window_ : counted->second;
    of_dataset_[dataset] = {std::clamp<std::int64_t>(count, 1, window_), column.back()};
  }
}

void SmoothedObjective::return_to(const History& history, std::int64_t update) {
  const auto& updates = history.at("update");
  const auto row = static_cast<std::size_t>(
      std::lower_bound(updates.begin(), updates.end(), static_cast<double>(update)) - updates.begin());
  for (auto& [dataset, mean] : of_dataset_) {
    const auto column = history.find(column_ + "." + dataset);
    const bool known = column != history.end() && row < column->second.size();
    if (known && std::isfinite(column->second[row])) mean.value = column->second[row];
  }
}

std::size_t SmoothedObjective::first_known(const History& history) {
  const std::string prefix = SmoothedObjective().column_ + ".";
  const auto all = history.find(SmoothedObjective().column_);
  std::size_t first = all == history.end() ? 0 : all->second.size();
  for (const auto& [name, column] : history) {
    if (name.compare(0, prefix.size(), prefix) != 0) continue;
    const auto seen =
        std::find_if(column.begin(), column.end(), [](double mean) { return !std::isnan(mean); });
    first = std::min(first, static_cast<std::size_t>(seen - column.begin()));
  }
  return first;
}

void SmoothedObjective::count_into(std::map<std::string, std::int64_t>& counters) const {
  for (const auto& [dataset, mean] : of_dataset_) counters[counter_ + "." + dataset] = mean.count;
}

void SmoothedObjective::add(const std::string& dataset, double meta_objective) {
  RunningMean& mean = of_dataset_[dataset];
  mean.count = std::min(mean.count + 1, window_);
  mean.value += (meta_objective - mean.value) / static_cast<double>(mean.count);
}

double SmoothedObjective::mean() const {
  double sum = 0.0;
  for (const auto& [dataset, mean] : of_dataset_) sum += mean.value;
  return of_dataset_.empty() ? 0.0 : sum / static_cast<double>(of_dataset_.size());
}

std::map<std::string, double> SmoothedObjective::means() const {
  std::map<std::string, double> means;
  for (const auto& [dataset, mean] : of_dataset_) means[dataset] = mean.value;
  return means;
}

void SmoothedObjective::append_to(History& history) const {
  std::vector<double>& all = history[column_];
  const auto updates = history.find("update");
  const std::size_t rows = updates == history.end() ? all.size() + 1 : updates->second.size();
  const auto append = [&](std::vector<double>& column, double value) {
    column.resize(rows - 1, std::numeric_limits<double>::quiet_NaN());
    column.push_back(value);
  };
  for (const auto& [dataset, mean] : of_dataset_) append(history[column_ + "." + dataset], mean.value);
  append(all, mean());
}

}  // namespace outerloop::coordinator
