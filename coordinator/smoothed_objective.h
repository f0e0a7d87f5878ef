#pragma once
// Running mean of the meta-objective, one per dataset or domain. Tasks differ in difficulty between datasets,
// so the random mixture of tasks in an update would hide progress.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace outerloop::coordinator {

class SmoothedObjective {
 public:
  using History = std::map<std::string, std::vector<double>>;  ///< columns of equal length

  explicit SmoothedObjective(std::int64_t group = 1)
      : SmoothedObjective("meta_objective_smooth", "smoothed", group) {}
  /// Prefixes of the names of columns and counters. Means are over about 50 · `group` gradients.
  SmoothedObjective(std::string column, std::string counter, std::int64_t group = 1)
      : column_(std::move(column)), counter_(std::move(counter)), window_(kWindow * group) {}

  /// Continues from the last entries of a checkpoint's columns, and from the counters that count_into() set.
  void go_on_from(const History& history, const std::map<std::string, std::int64_t>& counters);

  /// Adds one gradient's meta-objective to its dataset's running mean.
  void add(const std::string& dataset, double meta_objective);

  /// Mean over the datasets seen so far, each weighted equally; 0 before the first.
  double mean() const;

  /// By dataset.
  std::map<std::string, double> means() const;

  /// Whether a dataset has been seen.
  bool known() const { return !of_dataset_.empty(); }

  /// The first row of these columns at which a dataset had been seen; the number of rows if there is none.
  static std::size_t first_known(const History& history);

  /// Restores the means after `update`, a value in the column "update"; their weights stay.
  void return_to(const History& history, std::int64_t update);

  /// Sets the counters "smoothed.DATASET": the number of gradients in each mean, at most the window.
  void count_into(std::map<std::string, std::int64_t>& counters) const;

  /// Appends to the columns "meta_objective_smooth" and "meta_objective_smooth.DATASET" (NaN before the
  /// dataset was seen). They become as long as the column "update", if there is one.
  void append_to(History& history) const;

 private:
  struct RunningMean {
    std::int64_t count = 0;
    double value = 0.0;
  };
  static constexpr std::int64_t kWindow = 50;  ///< gradients of one dataset

  std::string column_;
  std::string counter_;
  std::int64_t window_;
  std::map<std::string, RunningMean> of_dataset_;
};

}  // namespace outerloop::coordinator
