#include "coordinator/learner.h"

#include <algorithm>
#include <cmath>

#include "common/data/domain.h"
#include "common/rule/checks.h"
#include "coordinator/domain_conflict.h"

namespace outerloop::coordinator {
namespace {

constexpr const char* kGradients = "gradients";
constexpr const char* kWorkersLost = "workers_lost";
const std::string kRefused = "refused.";

}  // namespace

bool is_snapshot(std::int64_t update, std::int64_t per_decade) {
  if (update < 1 || per_decade < 1) return false;
  const auto density = static_cast<double>(per_decade);
  const double nearest = std::round(density * std::log10(static_cast<double>(update)));
  // Also test the neighbours of `nearest`: rounding to whole updates shifts small powers.
  for (const double j : {nearest - 1.0, nearest, nearest + 1.0})
    if (j >= 0.0 && std::llround(std::pow(10.0, j / density)) == update) return true;
  return false;
}

Learner::Learner(const AdamOptions& adam, double average_decay, const StepBackOptions& step_back,
                 store::Checkpoint start, std::int64_t group)
    : adam_options_(adam),
      average_decay_(average_decay),
      step_back_options_(step_back),
      state_(std::move(start)),
      smooth_(group),
      domains_smooth_(kDomainColumn, "smoothed_domain", group),
      adam_(adam, state_.rule.theta.size()),
      step_back_(step_back, state_) {
  if (!state_.adam_m.empty()) adam_.restore(state_.adam_m, state_.adam_v, state_.adam_step);
  set_smoothed();
  set_learning_rate_factor();
  set_floats();
}

void Learner::set_smoothed() {
  smooth_.go_on_from(state_.history, state_.counters);
  domains_smooth_.go_on_from(state_.history, state_.counters);
}

void Learner::set_learning_rate_factor() {
  adam_.set_factor(std::pow(step_back_options_.learning_rate_factor, static_cast<double>(count(kStepsBack))));
}

void Learner::set_floats() { floats_.assign(state_.rule.theta.begin(), state_.rule.theta.end()); }

bool Learner::finite() const {
  return std::all_of(floats_.begin(), floats_.end(), [](float value) { return std::isfinite(value); });
}

std::int64_t Learner::count(const std::string& counter) const {
  const auto found = state_.counters.find(counter);
  return found == state_.counters.end() ? 0 : found->second;
}

std::map<std::string, std::int64_t> Learner::refused() const {
  std::map<std::string, std::int64_t> result;
  for (const auto& [name, count] : state_.counters)
    if (name.compare(0, kRefused.size(), kRefused) == 0) result[name.substr(kRefused.size())] = count;
  return result;
}

void Learner::refuse(int worker, Refusal cause) {
  ++state_.counters[kRefused + name_of(cause)];
  ++tallies_[worker].refused[name_of(cause)];
}

void Learner::apply(const std::vector<double>& mean, const std::vector<GradientNote>& notes,
                    UpdateRecord& record) {
  record.learning_rate = adam_.learning_rate();
  auto& theta = state_.rule.theta;
  adam_.update(theta, mean);
  auto& average = state_.rule.theta_average;
  if (average_decay_ > 0.0) {
    if (average.empty()) average = theta;
    for (std::size_t i = 0; i < theta.size(); ++i)
      average[i] = static_cast<float>(average[i] + (1.0 - average_decay_) * (theta[i] - average[i]));
  }
  ++state_.rule.update;
  for (const auto& note : notes) {
    smooth_.add(note.dataset, note.meta_objective);
    domains_smooth_.add(data::domain_name(note.domain), note.meta_objective);
    ++tallies_[note.worker].gradients;
    ++state_.counters[kGradients];
  }
  record.update = update();
  watch(record);
  record.meta_objective_smooth = smooth_.mean();
  record.meta_objective_smooth_of_domain = domains_smooth_.means();
  set_floats();
  record.gradients = count(kGradients);
  record.refused = refused();
  for (const auto& [worker, tally] : tallies_)
    if (!tally.refused.empty()) record.refused_from[worker] = tally.refused;
  auto& history = state_.history;
  history["update"].push_back(static_cast<double>(record.update));
  history["seconds"].push_back(record.seconds);
  history["meta_objective"].push_back(record.batch.meta_objective);
  smooth_.append_to(history);
  domains_smooth_.append_to(history);
  history["gradient_norm"].push_back(record.batch.gradient_norm);
  history["worker_gradient_norm"].push_back(record.batch.worker_gradient_norm);
  history["staleness_mean"].push_back(record.batch.staleness_mean);
}

/// Runs before the running means enter the history, from which a resumed run restores them.
void Learner::watch(UpdateRecord& record) {
  if (!smooth_.known()) return;  // without an accepted gradient there is no running mean
  const double smooth = smooth_.mean();
  const auto& theta = state_.rule.theta;
  const bool finite = rule::all_finite(theta);
  if (step_back_.diverged(finite, update(), smooth, count(kStepsBack))) {
    restore(*step_back_.safe_point());
    record.stepped_back_to = step_back_.safe_point()->update;
  } else if (finite && step_back_.wants_safe_point(update(), smooth)) {
    step_back_.set_safe_point({update(), theta, state_.rule.theta_average, adam_.m(), adam_.v()});
  }
}

/// Adam's step count stays: the schedule continues, and old moments need no bias correction.
void Learner::restore(const store::SafePoint& point) {
  state_.rule.theta = point.theta;
  state_.rule.theta_average = point.theta_average;
  adam_.restore(point.adam_m, point.adam_v, adam_.step());
  ++state_.counters[kStepsBack];
  set_learning_rate_factor();
  smooth_.return_to(state_.history, point.update);
  domains_smooth_.return_to(state_.history, point.update);
}

store::Checkpoint Learner::moments_into(store::Checkpoint checkpoint) const {
  checkpoint.adam_m = adam_.m();
  checkpoint.adam_v = adam_.v();
  checkpoint.adam_step = adam_.step();
  checkpoint.safe_point = step_back_.safe_point();
  return checkpoint;
}

store::Checkpoint Learner::snapshot() const {
  store::Checkpoint checkpoint = moments_into(state_);
  smooth_.count_into(checkpoint.counters);
  domains_smooth_.count_into(checkpoint.counters);
  return checkpoint;
}

Learner::Mark Learner::mark() const {
  Mark mark;
  mark.state.rule = state_.rule;
  mark.state.counters = state_.counters;
  smooth_.count_into(mark.state.counters);
  domains_smooth_.count_into(mark.state.counters);
  mark.state = moments_into(std::move(mark.state));
  const auto updates = state_.history.find("update");
  mark.history_length = updates == state_.history.end() ? 0 : updates->second.size();
  mark.tallies = tallies_;
  return mark;
}

void Learner::rewind(const Mark& mark) {
  const std::int64_t lost = count(kWorkersLost);
  state_.rule = mark.state.rule;
  state_.counters = mark.state.counters;
  if (lost > 0) state_.counters[kWorkersLost] = lost;
  adam_ = Adam(adam_options_, parameters());
  adam_.restore(mark.state.adam_m, mark.state.adam_v, mark.state.adam_step);
  tallies_ = mark.tallies;
  for (auto& [name, column] : state_.history) column.resize(mark.history_length);
  set_smoothed();
  set_learning_rate_factor();
  store::Checkpoint seen = mark.state;
  seen.history = state_.history;
  step_back_ = StepBack(step_back_options_, seen);
  set_floats();
}

}  // namespace outerloop::coordinator
