#include "cli/figures/figure_data.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/input_file.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// `where` names file and position. null, which JSON has for non-finite numbers, is NaN.
double number_or_none(const json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return kNone;
  if (!found->is_number()) throw InputError(where + ": " + key + " is no number");
  return found->get<double>();
}

std::int64_t integer_or_zero(const json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return 0;
  if (!found->is_number_integer()) throw InputError(where + ": " + key + " is no integer");
  return found->get<std::int64_t>();
}

std::string text(const json& object, const char* key, const std::string& where, bool needed) {
  const auto found = object.find(key);
  if (found == object.end() && !needed) return "";
  if (found == object.end()) throw InputError(where + ": " + key + " is missing");
  if (!found->is_string()) throw InputError(where + ": " + key + " is no text");
  return found->get<std::string>();
}

const json& list(const json& object, const char* key, const std::string& where) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end() || !found->is_array())
    throw InputError(where + ": the list " + key + " is missing; is this the JSON of outerloop evaluate?");
  return *found;
}

std::ifstream opened(const std::string& path) {
  if (base::is_present(path)) base::require_file(path);
  std::ifstream stream(path, std::ios::binary);
  if (!stream || stream.peek() == std::ifstream::traits_type::eof())
    throw InputError(path + ": cannot be read, or is empty");
  return stream;
}

void add_line(const json& line, const std::string& where, LearningCurve& curve) {
  if (line.contains("event") || !line.contains("meta_objective")) return;
  const double update = number_or_none(line, "update", where);
  if (!(update >= 0.0)) throw InputError(where + ": a line of training without its update");
  curve.update.push_back(update);
  const double segment = number_or_none(line, "segment", where);
  curve.segment.push_back(segment >= 0.0 ? segment : 0.0);
  curve.meta_objective.push_back(number_or_none(line, "meta_objective", where));
  curve.meta_objective_smooth.push_back(number_or_none(line, "meta_objective_smooth", where));
  curve.gradient_norm.push_back(number_or_none(line, "gradient_norm", where));
  curve.staleness_mean.push_back(number_or_none(line, "staleness_mean", where));
}

/// Calls `use` with each line of metrics.jsonl and its position. A truncated last line is skipped.
void for_each_line(const std::string& path,
                   const std::function<void(const json& line, const std::string& where)>& use) {
  auto stream = opened(path);
  std::string content;
  for (std::int64_t number = 1; std::getline(stream, content); ++number) {
    const std::string where = path + ":" + std::to_string(number);
    const auto line = json::parse(content, nullptr, false);
    if (line.is_object())
      use(line, where);
    else if (!stream.eof())
      throw InputError(where + ": no JSON object; is this the metrics.jsonl of a run?");
  }
}

/// The scores of one dataset in one evaluation.
struct EvaluatedDataset {
  std::string dataset, role;
  double meta_objective = kNone, accuracy = kNone;
};
using EvaluationsByUpdate = std::map<double, std::vector<EvaluatedDataset>>;

void add_evaluation(const json& line, const std::string& where, EvaluationsByUpdate& evaluations,
                    double& best) {
  const double update = number_or_none(line, "update", where);
  if (!(update >= 0.0)) throw InputError(where + ": an evaluation without its update");
  const auto datasets = line.find("datasets");
  if (datasets == line.end() || !datasets->is_array())
    throw InputError(where + ": an evaluation without its datasets");
  std::vector<EvaluatedDataset> parts;
  for (const auto& part : *datasets) {
    if (!part.is_object()) throw InputError(where + ": a dataset of an evaluation is no object");
    parts.push_back({text(part, "dataset", where, true), text(part, "role", where, true),
                     number_or_none(part, "meta_objective", where), number_or_none(part, "accuracy", where)});
  }
  evaluations[update] = std::move(parts);
  const auto is_best = line.find("best");
  if (is_best != line.end() && is_best->is_boolean() && is_best->get<bool>()) best = update;
}

AccuracyRow read_row(const json& row, const std::string& where) {
  if (!row.is_object()) throw InputError(where + ": no object");
  AccuracyRow result;
  result.method = text(row, "method", where, true);
  result.readout = text(row, "readout", where, false);
  if (!row.contains("accuracy")) throw InputError(where + ": accuracy is missing");
  result.accuracy = number_or_none(row, "accuracy", where);
  if (result.accuracy < 0.0 || result.accuracy > 1.0)
    throw InputError(where + ": accuracy is a fraction between 0 and 1, not " + row.at("accuracy").dump());
  result.ci95 = number_or_none(row, "ci95", where);
  result.minus_random = number_or_none(row, "minus_random", where);
  result.minus_random_ci95 = number_or_none(row, "minus_random_ci95", where);
  result.steps = integer_or_zero(row, "steps", where);
  result.loss = number_or_none(row, "loss", where);
  result.loss_ci95 = number_or_none(row, "loss_ci95", where);
  return result;
}

AccuracyTable read_table(const json& table, const std::string& where) {
  if (!table.is_object()) throw InputError(where + ": no object");
  AccuracyTable result;
  result.dataset = text(table, "dataset", where, true);
  result.base_model = text(table, "base_model", where, false);
  result.size = integer_or_zero(table, "size", where);
  result.labels_per_class = integer_or_zero(table, "labels_per_class", where);
  result.inner_steps = integer_or_zero(table, "inner_steps", where);
  result.draws = integer_or_zero(table, "draws", where);
  result.condition = text(table, "condition", where, false);
  result.condition_value = number_or_none(table, "condition_value", where);
  for (const auto& row : list(table, "rows", where))
    result.rows.push_back(read_row(row, where + ".rows[" + std::to_string(result.rows.size()) + "]"));
  if (result.rows.empty()) throw InputError(where + ": no rows");
  return result;
}

/// The line number of a byte, for parse errors.
std::size_t line_of(const std::string& content, std::size_t byte) {
  const auto end = content.begin() + static_cast<std::ptrdiff_t>(std::min(byte, content.size()));
  return 1 + static_cast<std::size_t>(std::count(content.begin(), end, '\n'));
}

}  // namespace

LearningCurve read_learning_curve(const std::string& path) {
  LearningCurve curve;
  for_each_line(path, [&](const json& line, const std::string& where) { add_line(line, where, curve); });
  if (curve.update.empty()) throw InputError(path + ": holds no line with a meta-objective yet; train first");
  return curve;
}

HeldOutCurves read_held_out_curves(const std::string& path) {
  EvaluationsByUpdate evaluations;
  HeldOutCurves curves;
  for_each_line(path, [&](const json& line, const std::string& where) {
    if (text(line, "event", where, false) == "evaluation")
      add_evaluation(line, where, evaluations, curves.best);
  });
  // The newest one lists the datasets.
  if (evaluations.empty()) return curves;
  for (const auto& part : evaluations.rbegin()->second)
    curves.datasets.push_back({part.dataset, part.role, {}, {}, {}});
  for (const auto& [update, parts] : evaluations)
    for (std::size_t i = 0; i < std::min(parts.size(), curves.datasets.size()); ++i) {
      curves.datasets[i].update.push_back(update);
      curves.datasets[i].meta_objective.push_back(parts[i].meta_objective);
      curves.datasets[i].accuracy.push_back(parts[i].accuracy);
    }
  return curves;
}

json read_json_file(const std::string& path) {
  auto stream = opened(path);
  const std::string content{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  try {
    return json::parse(content);
  } catch (const json::parse_error& error) {
    throw InputError(path + ":" + std::to_string(line_of(content, error.byte)) + ": no JSON; it may be cut");
  }
}

std::vector<AccuracyTable> read_evaluation(const std::string& path) {
  const json evaluation = read_json_file(path);
  std::vector<AccuracyTable> tables;
  for (const auto& table : list(evaluation, "tables", path))
    tables.push_back(read_table(table, path + ": tables[" + std::to_string(tables.size()) + "]"));
  if (tables.empty()) throw InputError(path + ": no tables");
  return tables;
}

}  // namespace outerloop::cli
