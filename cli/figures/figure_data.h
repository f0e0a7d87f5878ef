#pragma once
// Reads what figures show: learning curves from metrics.jsonl, accuracy tables from evaluate's JSON. Throws
// InputError that names the file, and the line or place in it.
#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace outerloop::cli {

/// Columns of metrics.jsonl, one entry a line that carries a meta-objective; NaN where a line has none of a
/// column.
struct LearningCurve {
  std::vector<double> update, segment, meta_objective, meta_objective_smooth, gradient_norm, staleness_mean;
};
/// Lines of events are skipped, and so is a last line that is cut (the run may be writing it).
LearningCurve read_learning_curve(const std::string& path);

/// One dataset's part of the evaluations in metrics.jsonl, by update; of an update that was evaluated again
/// after a resume the last.
struct HeldOutCurve {
  std::string dataset;
  std::string role;  ///< train | validation | test
  std::vector<double> update, meta_objective, accuracy;
};
struct HeldOutCurves {
  std::vector<HeldOutCurve> datasets;
  double best = std::numeric_limits<double>::quiet_NaN();  ///< update that validated best; NaN: none
};
/// Empty where the run was never evaluated.
HeldOutCurves read_held_out_curves(const std::string& path);

struct AccuracyRow {
  std::string method;
  std::string readout;
  double accuracy = 0.0;      ///< a fraction; NaN where the file says null
  double ci95 = 0.0;          ///< half-width; NaN where there is none
  double minus_random = 0.0;  ///< paired difference; NaN where there is none
  double minus_random_ci95 = 0.0;
  std::int64_t steps = 0;  ///< of training; 0 where the file does not say
  double loss = std::numeric_limits<double>::quiet_NaN();
  double loss_ci95 = std::numeric_limits<double>::quiet_NaN();
};
struct AccuracyTable {
  std::string dataset, base_model;
  std::int64_t size = 0, labels_per_class = 0, inner_steps = 0, draws = 0;
  std::vector<AccuracyRow> rows;
  std::string condition;  ///< what differs from one table of a figure to the next, e.g. "tanh"; or empty
  double condition_value = std::numeric_limits<double>::quiet_NaN();  ///< likewise as a number
};
/// evaluate's JSON, or that of a figure with tables.
std::vector<AccuracyTable> read_evaluation(const std::string& path);

/// The whole JSON.
nlohmann::json read_json_file(const std::string& path);

}  // namespace outerloop::cli
