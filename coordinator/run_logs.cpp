#include "coordinator/run_logs.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/error.h"
#include "coordinator/filters.h"

namespace outerloop::coordinator {
namespace {

/// A JSON object with the workers' numbers as keys.
template <class Value>
nlohmann::json by_worker(const std::map<int, Value>& values) {
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [worker, value] : values) object[std::to_string(worker)] = value;
  return object;
}

nlohmann::json to_json(const EvaluationScore& score) {
  return {{"dataset", score.dataset.name},
          {"role", evaluation_role_name(score.dataset.role)},
          {"domain", data::domain_name(score.dataset.domain)},
          {"meta_objective", score.meta_objective},
          {"accuracy", score.accuracy},
          {"tasks", score.tasks},
          {"failed", score.failed}};
}

nlohmann::json to_json(const DomainScore& score) {
  return {{"domain", data::domain_name(score.domain)},
          {"role", evaluation_role_name(score.role)},
          {"meta_objective", score.meta_objective},
          {"accuracy", score.accuracy}};
}

/// The line of an update, without the cosines of the domains.
nlohmann::json line_of(const UpdateRecord& record) {
  const BatchSummary& batch = record.batch;
  nlohmann::json line = {{"update", record.update},
                         {"seconds", record.seconds},
                         {"meta_objective", batch.meta_objective},
                         {"meta_objective_smooth", record.meta_objective_smooth},
                         {"gradient_norm", batch.gradient_norm},
                         {"worker_gradient_norm", batch.worker_gradient_norm},
                         {"gradient_norm_of", batch.gradient_norm_of},
                         {"gradient_cosine", batch.gradient_cosine},
                         {"learning_rate", record.learning_rate},
                         {"staleness_mean", batch.staleness_mean},
                         {"staleness_max", batch.staleness_max},
                         {"unique_workers", batch.unique_workers},
                         {"gradients_of", by_worker(batch.gradients_of)},
                         {"gradients", record.gradients},
                         {"gradients_per_second", record.gradients_per_second},
                         {"meta_objective_of", batch.meta_objective_of},
                         {"meta_objective_of_domain", batch.meta_objective_of_domain},
                         {"meta_objective_smooth_of_domain", record.meta_objective_smooth_of_domain},
                         {"refused", record.refused},
                         {"refused_from", by_worker(record.refused_from)}};
  if (record.stepped_back_to) line["stepped_back_to"] = *record.stepped_back_to;
  return line;
}

}  // namespace

RunLogs::RunLogs(std::string directory, std::int64_t start_update, std::string config_text, Warn warn)
    : directory_(std::move(directory)),
      start_update_(start_update),
      config_text_(std::move(config_text)),
      warn_(std::move(warn)) {
  try {
    metrics();
    events();
  } catch (const InputError&) {
    throw;  // not a regular file: a retry would not help
  } catch (const Error& error) {
    warn_(fmt::format("metrics are not written, training continues: {}", error.what()));
    failed_ = true;
  }
}

store::MetricsLog& RunLogs::metrics() {
  if (metrics_) return *metrics_;
  metrics_.emplace(directory_ + "/metrics.jsonl", start_update_);
  if (!metrics_->warning().empty()) warn_(metrics_->warning());
  return *metrics_;
}

store::EventLog& RunLogs::events() {
  if (events_) return *events_;
  events_.emplace(directory_, start_update_);
  events_->text(start_update_, "config", config_text_);
  return *events_;
}

void RunLogs::reopen(std::int64_t update) {
  start_update_ = update;
  metrics().reopen();
  events_.reset();
  events();
}

void RunLogs::roll_back(std::int64_t update) {
  try {
    start_update_ = update;
    metrics_.emplace(directory_ + "/metrics.jsonl", update);
    if (!metrics_->warning().empty()) warn_(metrics_->warning());
    if (events_) events_->restart(update);
  } catch (const Error& error) {
    warn_(fmt::format("metrics beyond update {} are not cut: {}", update, error.what()));
  }
}

void RunLogs::update(const UpdateRecord& record, bool due) {
  for (const auto& [staleness, gradients] : record.batch.gradients_by_staleness)
    staleness_[staleness] += gradients;
  if (!record.domain_cosines.empty()) domain_cosines_ = record.domain_cosines;
  if (!due) return;
  nlohmann::json line = line_of(record);
  if (!domain_cosines_.empty()) line["gradient_cosine_of_domain"] = domain_cosines_;
  domain_cosines_.clear();
  write(line);
}

void RunLogs::evaluation(const EvaluationRecord& record) {
  nlohmann::json line = {{"event", "evaluation"},
                         {"update", record.update},
                         {"seconds", record.seconds},
                         {"theta", record.average ? "average" : "last"},
                         {"datasets", nlohmann::json::array()},
                         {"domains", nlohmann::json::array()},
                         {"validation_meta_objective", record.validation},
                         {"best", record.best},
                         {"worker_seconds", record.worker_seconds}};
  for (const auto& score : record.scores) line["datasets"].push_back(to_json(score));
  for (const auto& score : scores_by_domain(record.scores)) line["domains"].push_back(to_json(score));
  write(line);
}

void RunLogs::write(const nlohmann::json& line) {
  try {
    metrics().write(line);
    events().scalars(line);
    failed_ = false;
  } catch (const Error& error) {
    if (!failed_) warn_(fmt::format("metrics are not written, training continues: {}", error.what()));
    failed_ = true;
  }
}

void RunLogs::write_histograms(const store::Checkpoint& checkpoint) {
  if (!events_) return;  // reported when it was opened
  const auto& rule = checkpoint.rule;
  try {
    events_->tensors(rule.update, "theta", rule.layout, rule.theta);
    events_->counts(rule.update, "staleness", staleness_);
    staleness_.clear();
    if (!settings_) settings_ = config::settings_from_text(config_text_, directory_, {});
    if (rule.script && !settings_->rule.script) settings_->set_module(rule.script);
    for (const auto& stream : checkpoint.streams)
      if (const auto picture = filters_of(stream, *settings_)) {
        events_->picture(rule.update, "filters", picture->height, picture->width, picture->pixels);
        break;  // one base model suffices
      }
  } catch (const Error& error) {
    if (!failed_)
      warn_(fmt::format("the data for TensorBoard is not written, training continues: {}", error.what()));
    failed_ = true;
  }
}

}  // namespace outerloop::coordinator
