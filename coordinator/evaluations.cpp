#include "coordinator/evaluations.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "common/base/error.h"

namespace outerloop::coordinator {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

EvaluationScore score_of(const EvaluationDataset& dataset,
                         const std::vector<std::optional<EvaluationResult>>& results) {
  EvaluationScore score{dataset, 0.0, 0.0, 0, 0};
  // In task order, not order of arrival: floating-point sums depend on it.
  for (const auto& result : results) {
    ++score.tasks;
    if (!result->finished) {
      ++score.failed;
      continue;
    }
    score.meta_objective += result->meta_objective;
    score.accuracy += result->accuracy;
  }
  const auto finished = static_cast<double>(score.tasks - score.failed);
  score.meta_objective = finished > 0.0 ? score.meta_objective / finished : kNone;
  score.accuracy = finished > 0.0 ? score.accuracy / finished : kNone;
  return score;
}

double validation_of(const std::vector<EvaluationScore>& scores) {
  double sum = 0.0, count = 0.0;
  for (const auto& score : scores) {
    if (score.dataset.role != EvaluationRole::validation) continue;
    if (score.failed > 0) return kNone;
    sum += score.meta_objective;
    ++count;
  }
  return count > 0.0 ? sum / count : kNone;
}

}  // namespace

std::vector<DomainScore> scores_by_domain(const std::vector<EvaluationScore>& scores) {
  std::map<std::pair<data::Domain, EvaluationRole>, std::vector<const EvaluationScore*>> groups;
  for (const auto& score : scores) groups[{score.dataset.domain, score.dataset.role}].push_back(&score);
  std::vector<DomainScore> result;
  for (const auto& [key, group] : groups) {
    DomainScore mean{key.first, key.second, 0.0, 0.0};
    for (const EvaluationScore* score : group) {
      mean.meta_objective += score->meta_objective / static_cast<double>(group.size());
      mean.accuracy += score->accuracy / static_cast<double>(group.size());
    }
    result.push_back(mean);
  }
  return result;
}

const char* evaluation_role_name(EvaluationRole role) {
  switch (role) {
    case EvaluationRole::train:
      return "train";
    case EvaluationRole::validation:
      return "validation";
    case EvaluationRole::test:
      return "test";
  }
  return "test";
}

void Evaluations::begin(store::RuleFile rule, double seconds) {
  const std::int64_t update = rule.update;
  OUTERLOOP_CHECK(options_.enabled() && !knows(update), "update " + std::to_string(update));
  Open& open = open_[update];
  const auto& evaluated = rule.theta_average.empty() ? rule.theta : rule.theta_average;
  open.theta.assign(evaluated.begin(), evaluated.end());
  open.rule = std::move(rule);
  open.seconds = seconds;
  open.results.assign(options_.datasets.size(),
                      std::vector<std::optional<EvaluationResult>>(static_cast<std::size_t>(options_.tasks)));
  for (std::size_t dataset = 0; dataset < options_.datasets.size(); ++dataset)
    for (std::int64_t task = 0; task < options_.tasks; ++task)
      to_deal_.push_back({update, static_cast<std::uint32_t>(dataset), static_cast<std::uint32_t>(task)});
  open.missing = options_.tasks * static_cast<std::int64_t>(options_.datasets.size());
}

std::optional<EvaluationPiece> Evaluations::deal(int worker) {
  OUTERLOOP_CHECK(!piece_of(worker), "worker " + std::to_string(worker));
  if (to_deal_.empty()) return std::nullopt;
  const EvaluationPiece piece = to_deal_.front();
  to_deal_.pop_front();
  dealt_[worker] = piece;
  return piece;
}

std::optional<EvaluationPiece> Evaluations::piece_of(int worker) const {
  const auto found = dealt_.find(worker);
  if (found == dealt_.end()) return std::nullopt;
  return found->second;
}

void Evaluations::take_back(int worker) {
  const auto found = dealt_.find(worker);
  if (found == dealt_.end()) return;
  to_deal_.push_front(found->second);
  dealt_.erase(found);
}

bool Evaluations::accept(int worker, const EvaluationPiece& piece, const EvaluationResult& result) {
  const auto found = dealt_.find(worker);
  if (found == dealt_.end() || !(found->second == piece)) return false;
  dealt_.erase(found);
  Open& open = open_.at(piece.update);
  auto& place = open.results[piece.dataset][piece.task];
  OUTERLOOP_CHECK(!place, "a piece was dealt out twice");
  place = result;
  if (!std::isfinite(result.meta_objective)) place->finished = false;
  --open.missing;
  return true;
}

std::optional<EvaluationRecord> Evaluations::take_finished() {
  const auto done =
      std::find_if(open_.begin(), open_.end(), [](const auto& entry) { return entry.second.missing == 0; });
  if (done == open_.end()) return std::nullopt;
  EvaluationRecord record = record_of(done->second);
  open_.erase(done);
  newest_ = std::max(newest_.value_or(0), record.update);
  // NaN (no validation datasets) is never the best.
  record.best = std::isfinite(record.validation) && (!best_ || record.validation < best_->validation);
  if (record.best) best_ = BestRule{record.update, record.validation};
  return record;
}

EvaluationRecord Evaluations::record_of(Open& open) const {
  EvaluationRecord record;
  record.update = open.rule.update;
  record.seconds = open.seconds;
  record.average = !open.rule.theta_average.empty();
  for (std::size_t i = 0; i < options_.datasets.size(); ++i) {
    record.scores.push_back(score_of(options_.datasets[i], open.results[i]));
    for (const auto& result : open.results[i]) record.worker_seconds += result->seconds;
  }
  record.validation = validation_of(record.scores);
  record.rule = std::move(open.rule);
  return record;
}

void Evaluations::go_back_to(std::int64_t update) {
  cancel_after(update);
  if (newest_ && *newest_ > update) newest_.reset();
}

void Evaluations::cancel_after(std::int64_t update) {
  open_.erase(open_.upper_bound(update), open_.end());
  const auto gone = [&](const EvaluationPiece& piece) { return piece.update > update; };
  to_deal_.erase(std::remove_if(to_deal_.begin(), to_deal_.end(), gone), to_deal_.end());
  for (auto piece = dealt_.begin(); piece != dealt_.end();)
    piece = gone(piece->second) ? dealt_.erase(piece) : std::next(piece);
}

}  // namespace outerloop::coordinator
