#pragma once
// Reader of the figures' data: learning curves from metrics.jsonl, accuracy tables from evaluate's JSON.
// Throws InputError that names the file, and the line or position in it.
#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace outerloop::cli {

/// Columns of metrics.jsonl, one entry per line with a meta-objective; NaN where a line lacks the column.
struct LearningCurve {
  std::vector<double> update, segment, meta_objective, meta_objective_smooth, gradient_norm, staleness_mean;
};
/// Event lines are skipped, as is a truncated last line (the run may be writing it).
LearningCurve read_learning_curve(const std::string& path);

/// One dataset's evaluations in metrics.jsonl, by update. If an update was evaluated again after a resume,
/// the last evaluation counts.
struct HeldOutCurve {
  std::string dataset;
  std::string role;  ///< train | validation | test
  std::vector<double> update, meta_objective, accuracy;
};
struct HeldOutCurves {
  std::vector<HeldOutCurve> datasets;
  double best = std::numeric_limits<double>::quiet_NaN();  ///< update with the best validation; NaN: none
};
/// Empty if the run was never evaluated.
HeldOutCurves read_held_out_curves(const std::string& path);

struct AccuracyRow {
  std::string method;
  std::string readout;
  double accuracy = 0.0;      ///< a fraction; NaN where the file has null
  double ci95 = 0.0;          ///< half-width; NaN where there is none
  double minus_random = 0.0;  ///< paired difference; NaN where there is none
  double minus_random_ci95 = 0.0;
  std::int64_t steps = 0;  ///< of training; 0 if the file does not say
  double loss = std::numeric_limits<double>::quiet_NaN();
  double loss_ci95 = std::numeric_limits<double>::quiet_NaN();
};
struct AccuracyTable {
  std::string dataset, base_model;
  std::int64_t size = 0, labels_per_class = 0, inner_steps = 0, draws = 0;
  std::vector<AccuracyRow> rows;
  std::string condition;  ///< the varied quantity of a figure with several tables, e.g. "tanh"; or empty
  double condition_value = std::numeric_limits<double>::quiet_NaN();  ///< the same as a number
};
/// Reads evaluate's JSON, or that of a figure with tables.
std::vector<AccuracyTable> read_evaluation(const std::string& path);

/// Reads the whole JSON.
nlohmann::json read_json_file(const std::string& path);

}  // namespace outerloop::cli
