#include "tests/simulation/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace outerloop::simulation {
namespace {

/// Counters: gradients in the running means of the dataset and of its domain.
constexpr const char* kSmoothed[] = {"smoothed.toy", "smoothed_domain.images"};

}  // namespace

Ledger::Ledger(const Scenario& scenario, const data::TaskDistribution& tasks,
               const evaluation::Evaluator& evaluator, const store::Checkpoint& start,
               const std::optional<coordinator::BestRule>& best,
               std::function<void(const store::Checkpoint&)> keep)
    : scenario_(scenario),
      tasks_(tasks),
      evaluator_(evaluator),
      keep_(std::move(keep)),
      deterministic_(scenario.options.deterministic),
      now_{start.rule.update,
           start.rule.theta,
           start.rule.theta_average,
           coordinator::Adam(scenario.options.adam, start.rule.theta.size()),
           PlainStepBack(scenario.options.step_back, start, scenario.options.group),
           {},
           {},
           start.counters,
           {}},
      saved_(now_),
      last_due_(start.rule.update),
      best_(best) {
  if (!start.adam_m.empty()) now_.adam.restore(start.adam_m, start.adam_v, start.adam_step);
  now_.adam.set_factor(now_.step_back.factor());
  for (std::int64_t i = 0; i < scenario.options.streams; ++i)
    now_.position[static_cast<std::uint32_t>(i)] = {0, 0};
  now_.counters.erase("workers_lost");
  for (const char* counter : kSmoothed) now_.counters.erase(counter);
  for (const auto& stream : start.streams) {
    now_.position[stream.stream] = {stream.task, stream.step};
    now_.begun_at[stream.stream] = stream.begun_at;
  }
  // The coordinator's own counts.
  const auto evaluated = now_.counters.find(coordinator::kEvaluatedUpdate);
  const bool again = evaluated == now_.counters.end() || evaluated->second != now_.update;
  if (evaluated != now_.counters.end()) now_.counters.erase(evaluated);
  note_evaluated_theta();
  if (!again) wanted_.erase(now_.update);
  saved_ = now_;
}

void Ledger::require(bool condition, const std::string& what) const {
  if (!condition) throw Violation(fmt::format("{} (at update {})", what, now_.update));
}

std::int64_t Ledger::count_of(const std::string& name) const {
  const auto found = now_.counters.find(name);
  return found == now_.counters.end() ? 0 : found->second;
}

void Ledger::before(int from, const proto::WorkerMessage& message, const std::vector<float>& floats) {
  const auto& members = coordinator_->membership().members();
  const auto member = members.find(from);
  const bool known = member != members.end() && member->second.active();
  bool leaves_nobody = false;
  if (known) {
    leaves_nobody = message.leaving() && std::none_of(members.begin(), members.end(), [&](const auto& entry) {
                      return entry.first != from && entry.second.staying();
                    });
    signalled_ = signalled_ || message.signalled() || leaves_nobody;
    const auto held = held_.find(from);
    if (held != held_.end() && message.has_evaluated() && key(message.evaluated().piece()) == held->second)
      done_.insert(held->second);
    held_.erase(from);
  }
  if (!message.has_gradient() || !known) return;
  current_ = Current{from, message, floats, coordinator_->stopping() || message.signalled() || leaves_nobody};
}

void Ledger::note_progress(int from, const proto::WorkerMessage& message) {
  const auto& members = coordinator_->membership().members();
  const auto member = members.find(from);
  if (member != members.end() && member->second.active()) signalled_ = signalled_ || message.signalled();
}

void Ledger::after() {
  enter();
  check();
}

/// Decides the fate of the gradient being delivered, at the latest when the coordinator makes an update.
void Ledger::enter() {
  if (!current_) return;
  const Current current = *std::move(current_);
  current_.reset();
  const auto& gradient = current.message.gradient();
  if (current.ends) return;
  Entry entry{current.from, "", current.floats, lanes_of(current.message, current.floats), {}, 0};
  if (std::none_of(entry.lanes.begin(), entry.lanes.end(),
                   [](const Lane& lane) { return lane.cause.empty(); }))
    entry.cause = entry.lanes.front().cause;
  if (current.message.segment() == segment_) {
    check_position(gradient);
    entry.next = next_position(gradient, entry.cause);
    entry.begun_at = begun_at(gradient);
  }
  if (!deterministic_) {
    now_.position[gradient.stream()] = entry.next;
    now_.begun_at[gradient.stream()] = entry.begun_at;
  }
  if (entry.cause == "stale" || (!deterministic_ && !entry.cause.empty()))
    count(entry);
  else if (deterministic_)
    require(slots_.emplace(gradient.stream(), std::move(entry)).second,
            fmt::format("stream {} contributes twice to one update", gradient.stream()));
  else
    batch_.push_back(std::move(entry));
}

/// The fate of each.
std::vector<Ledger::Lane> Ledger::lanes_of(const proto::WorkerMessage& message,
                                           const std::vector<float>& floats) const {
  const auto& gradient = message.gradient();
  const auto group = static_cast<std::size_t>(scenario_.options.group);
  const std::int64_t bound = deterministic_ ? 0 : scenario_.options.staleness_bound;
  if (message.segment() != segment_ || now_.update - gradient.theta_version() > bound)
    return std::vector<Lane>(group, Lane{"stale", 0.0});
  require(gradient.theta_version() <= now_.update, "a gradient of a θ that does not exist yet");
  const auto cause = [&](auto outcome, double norm) -> std::string {
    if (outcome == proto::Gradient::dead_features) return "dead_features";
    if (outcome == proto::Gradient::not_finite) return "not_finite";
    return norm > scenario_.options.reject_norm ? "norm" : "";
  };
  std::vector<Lane> lanes;
  for (const auto& lane : gradient.lanes()) {
    lanes.push_back({cause(lane.outcome(), lane.norm()), lane.meta_objective()});
    require(lane.task() >= gradient.task(), "a lane at a task before its round");
  }
  if (group == 1) lanes.push_back({cause(gradient.outcome(), gradient.norm()), gradient.meta_objective()});
  require(lanes.size() == group, "a gradient of another number of lanes");
  if (gradient.outcome() == proto::Gradient::finished)
    require(static_cast<std::int64_t>(floats.size()) == scenario_.parameters, "a gradient of another layout");
  return lanes;
}

void Ledger::check_position(const proto::Gradient& gradient) const {
  const Position at{gradient.task(), gradient.step()};
  const auto expected = now_.position.find(gradient.stream());
  require(expected != now_.position.end(), fmt::format("a gradient of stream {}", gradient.stream()));
  // Asynchronous: some may be lost with a worker.
  const bool taken = !deterministic_ && coordinator_->membership().lost() > 0;
  const bool right = taken ? at >= expected->second : at == expected->second;
  require(right, fmt::format("a gradient of stream {} comes from task {}, step {}, but the stream stands at "
                             "task {}, step {}: applied twice, or gone on from a wrong place",
                             gradient.stream(), at.first, at.second, expected->second.first,
                             expected->second.second));
}

/// The number that drives the curriculum.
std::int64_t Ledger::begun_at(const proto::Gradient& gradient) const {
  const auto found = now_.begun_at.find(gradient.stream());
  return gradient.step() == 0 || found == now_.begun_at.end() ? gradient.theta_version() : found->second;
}

Ledger::Position Ledger::next_position(const proto::Gradient& gradient, const std::string& cause) const {
  const std::int64_t step = gradient.step() + gradient.length();
  const auto first = gradient.stream() * static_cast<std::uint32_t>(scenario_.options.group);
  const std::int64_t last = std::min(tasks_.round(first, gradient.task()).inner_steps,
                                     scenario_.curriculum.limit(begun_at(gradient)));
  require(step <= last, "a truncation beyond its task's end");
  const bool stays =
      gradient.outcome() == proto::Gradient::finished && (!deterministic_ || cause.empty()) && step < last;
  std::uint32_t newest = gradient.task();
  for (const auto& lane : gradient.lanes()) newest = std::max(newest, lane.task());
  return stays ? Position{gradient.task(), step} : Position{newest + 1, 0};
}

void Ledger::count(const Entry& entry) {
  auto& tally = now_.tallies[entry.worker];
  for (const Lane& lane : entry.lanes) {
    ++(lane.cause.empty() ? tally.gradients : tally.refused[lane.cause]);
    ++now_.counters[lane.cause.empty() ? "gradients" : "refused." + lane.cause];
  }
}

/// Repeats the update from the delivered gradients: the mean over the batch in its order, clipped, into Adam.
void Ledger::repeat_update() {
  const auto& o = scenario_.options;
  if (deterministic_) {
    require(static_cast<std::int64_t>(slots_.size()) == o.streams, "an update lacks a stream");
    for (auto& [stream, entry] : slots_) {
      now_.position[stream] = entry.next;
      now_.begun_at[stream] = entry.begun_at;
      batch_.push_back(std::move(entry));
    }
    slots_.clear();
  }
  require(static_cast<std::int64_t>(batch_.size()) == o.batch, "an update of another number of gradients");
  std::vector<double> mean(now_.theta.size());
  for (const auto& entry : batch_) {
    count(entry);
    for (const Lane& lane : entry.lanes)
      if (lane.cause.empty()) now_.step_back.add(lane.meta_objective);
    for (std::size_t i = 0; entry.cause.empty() && i < mean.size(); ++i)
      mean[i] += static_cast<double>(entry.floats[i]);
  }
  batch_.clear();
  double squares = 0.0;
  for (auto& value : mean) {
    value /= static_cast<double>(o.batch);
    squares += value * value;
  }
  const double norm = std::sqrt(squares);
  if (o.batch_norm_clip > 0.0 && norm > o.batch_norm_clip)
    for (auto& value : mean) value *= o.batch_norm_clip / norm;
  now_.adam.update(now_.theta, mean);
  if (o.average_decay > 0.0) {
    if (now_.average.empty()) now_.average = now_.theta;
    for (std::size_t i = 0; i < mean.size(); ++i) {
      auto& average = now_.average[i];
      average = static_cast<float>(average + (1.0 - o.average_decay) * (now_.theta[i] - average));
    }
  }
  ++now_.update;
  repeat_step_back();
  note_evaluated_theta();
}

/// θ returns to a safe point, according to an independent account; versions continue.
void Ledger::repeat_step_back() {
  const auto back =
      now_.step_back.after({now_.update, now_.theta, now_.average, now_.adam.m(), now_.adam.v()});
  back_to_.reset();
  if (!back) return;
  back_to_ = back->update;
  now_.theta = back->theta;
  now_.average = back->theta_average;
  now_.adam.restore(back->adam_m, back->adam_v, now_.adam.step());
  now_.adam.set_factor(now_.step_back.factor());
  now_.counters[coordinator::kStepsBack] = now_.step_back.steps();
}

bool Ledger::due(std::int64_t update) const {
  const auto& evaluation = scenario_.options.evaluation;
  return evaluation.every_updates > 0 &&
         (update % evaluation.every_updates == 0 || update == scenario_.options.updates);
}

void Ledger::note_evaluated_theta() {
  evaluated_theta_[now_.update] = now_.average.empty() ? now_.theta : now_.average;
  for (auto& value : evaluated_theta_[now_.update]) value = static_cast<float>(value);
  if (due(now_.update)) wanted_.insert(now_.update);
}

void Ledger::answered(const coordinator::Answer& answer) {
  proto::CoordinatorMessage message;
  require(message.ParseFromString(answer.frame.header), "an answer that cannot be read");
  if (message.command() != proto::CoordinatorMessage::evaluate) return;
  const Piece piece = key(message.piece());
  require(wanted_.count(message.piece().update()) > 0, "an evaluation that is not due");
  require(done_.count(piece) == 0, "a piece of an evaluation is dealt out that is done already");
  for (const auto& [worker, held] : held_) {
    const auto& members = coordinator_->membership().members();
    require(worker == answer.to || held != piece || !members.at(worker).active(),
            "a piece of an evaluation is at two workers");
  }
  held_[answer.to] = piece;
}

/// Recomputes the means, from tasks that are evaluated here.
void Ledger::check_score(const coordinator::EvaluationRecord& record, std::uint32_t dataset) const {
  const auto& evaluation = scenario_.options.evaluation;
  const auto& score = record.scores.at(dataset);
  double objective = 0.0, accuracy = 0.0;
  std::int64_t finished = 0;
  for (std::int64_t i = 0; i < evaluation.tasks; ++i) {
    const auto task = static_cast<std::uint32_t>(i);
    require(done_.count({record.update, dataset, task}) > 0, "an evaluation is complete without a piece");
    const auto result = evaluator_.evaluate(evaluated_theta_.at(record.update), dataset, task);
    if (result.outcome != rule::Outcome::finished) continue;
    ++finished;
    objective += result.meta_objective;
    accuracy += result.accuracy;
  }
  require(score.tasks == evaluation.tasks && score.failed == evaluation.tasks - finished,
          "an evaluation counts other tasks");
  require(finished == 0 || (score.meta_objective == objective / static_cast<double>(finished) &&
                            score.accuracy == accuracy / static_cast<double>(finished)),
          fmt::format("the evaluation of update {} is not what its θ gives", record.update));
}

void Ledger::on_evaluation(const coordinator::EvaluationRecord& record) {
  require(wanted_.erase(record.update) == 1, "an evaluation that was not due, or came twice");
  require(record.scores.size() == scenario_.options.evaluation.datasets.size(), "datasets of an evaluation");
  require(record.average == !record.rule.theta_average.empty() && record.rule.update == record.update,
          "an evaluation of another θ than it says");
  for (std::uint32_t i = 0; i < record.scores.size(); ++i) check_score(record, i);
  const auto& validation = record.scores.at(1);
  const bool best = validation.failed == 0 && (!best_ || validation.meta_objective < best_->validation);
  require(record.best == best, "another θ is best");
  if (best) best_ = {record.update, validation.meta_objective};
  ++evaluations_;
}

void Ledger::check_end() const {
  if (coordinator_->stop_reason() != coordinator::StopReason::updates) return;
  // A signal, too many losses, or no remaining worker, while only the last evaluation was pending.
  const auto& members = coordinator_->membership().members();
  const std::int64_t lost = coordinator_->workers_lost();
  const auto leaving = std::count_if(members.begin(), members.end(), [](const auto& entry) {
    return entry.second.leaving && !entry.second.lost;
  });
  if (signalled_ || lost > scenario_.options.max_failures ||
      lost + leaving == static_cast<std::int64_t>(members.size()))
    return;
  require(wanted_.empty(), fmt::format("{} evaluations are missing at the end", wanted_.size()));
}

void Ledger::on_update(const coordinator::UpdateRecord& record) {
  enter();
  repeat_update();
  require(record.update == now_.update, fmt::format("the coordinator is at update {}", record.update));
  require(record.batch.staleness_max <= scenario_.options.staleness_bound, "staleness exceeds its bound");
  require(record.gradients == count_of("gradients"), "another number of gradients was applied");
  require(record.stepped_back_to == back_to_, "a step back that was not due, or to another θ, or none");
  const auto state = coordinator_->snapshot();
  require(state.rule.theta == now_.theta, "θ is not what the delivered gradients make of it");
  require(state.history.at("update").size() == static_cast<std::size_t>(now_.update), "the history's length");
  const auto& tallies = coordinator_->tallies();
  for (const auto& [worker, tally] : now_.tallies) {
    const auto found = tallies.find(worker);
    require(found != tallies.end() && found->second.gradients == tally.gradients &&
                found->second.refused == tally.refused,
            fmt::format("the gradients of worker {} are counted wrong", worker));
  }
  const auto every = scenario_.options.checkpoint_every;
  if (every == 0 || now_.update - last_due_ < every || due_ || now_.update == scenario_.options.updates)
    return;
  due_ = true;
  last_due_ = now_.update;
  due_position_ = now_.position;
}

void Ledger::check_checkpoint(const store::Checkpoint& c) const {
  require(c.rule.update == now_.update && c.rule.theta == now_.theta, "a checkpoint with another θ");
  require(c.adam_step == now_.adam.step() && c.adam_m == now_.adam.m() && c.adam_v == now_.adam.v(),
          "a checkpoint with another state of Adam");
  const auto& safe = now_.step_back.safe_point();
  require(c.safe_point.has_value() == safe.has_value(), "a checkpoint with a safe point, or none");
  require(!safe || (c.safe_point->update == safe->update && c.safe_point->theta == safe->theta &&
                    c.safe_point->theta_average == safe->theta_average &&
                    c.safe_point->adam_m == safe->adam_m && c.safe_point->adam_v == safe->adam_v),
          "a checkpoint with another safe point");
  for (const auto& [name, value] : now_.counters)
    require(c.counters.count(name) > 0 && c.counters.at(name) == value, "a checkpoint counts other " + name);
  for (const char* counter : kSmoothed) {
    const auto smoothed = c.counters.find(counter);
    require((smoothed == c.counters.end() ? 0 : smoothed->second) ==
                std::min<std::int64_t>(count_of("gradients"), 50 * scenario_.options.group),
            "a checkpoint's running mean counts other gradients");
  }
  require(static_cast<std::int64_t>(c.streams.size()) == scenario_.options.streams,
          fmt::format("a checkpoint holds {} streams of {}", c.streams.size(), scenario_.options.streams));
  const auto& least = deterministic_ ? now_.position : due_position_;
  for (const auto& stream : c.streams) {
    const Position at{stream.task, stream.step};
    const auto found = least.find(stream.stream);
    if (!deterministic_ && found == least.end()) continue;
    require(found != least.end() && (deterministic_ ? at == found->second : at >= found->second),
            fmt::format("a checkpoint has stream {} at task {}, step {}, but it stands at task {}, step {}",
                        stream.stream, at.first, at.second, found->second.first, found->second.second));
  }
}

void Ledger::on_checkpoint(const store::Checkpoint& checkpoint) {
  if (!deterministic_) require(due_, "a checkpoint that is not due");
  check_checkpoint(checkpoint);
  due_ = false;
  saved_ = now_;
  keep_(checkpoint);
}

void Ledger::on_rollback(std::int64_t update) {
  require(deterministic_, "a rollback in asynchronous mode");
  require(update == saved_.update,
          fmt::format("a rollback to update {} instead of {}", update, saved_.update));
  now_ = saved_;
  const auto beyond = [&](const Piece& piece) { return std::get<0>(piece) > update; };
  evaluated_theta_.erase(evaluated_theta_.upper_bound(update), evaluated_theta_.end());
  wanted_.erase(wanted_.upper_bound(update), wanted_.end());
  done_.erase(std::find_if(done_.begin(), done_.end(), beyond), done_.end());
  for (auto held = held_.begin(); held != held_.end();)
    held = beyond(held->second) ? held_.erase(held) : std::next(held);
  slots_.clear();
  ++segment_;
  due_ = false;
  last_due_ = update;
}

void Ledger::check() const {
  require(coordinator_->update() == now_.update,
          fmt::format("θ's version is {} without reason", coordinator_->update()));
  require(coordinator_->gradients() == count_of("gradients"), "the number of applied gradients");
  const std::size_t pending = deterministic_ ? slots_.size() : batch_.size();
  require(coordinator_->pending() == static_cast<std::int64_t>(pending), "the number of waiting gradients");
  for (const auto& [cause, number] : coordinator_->refused())
    require(number == count_of("refused." + cause), "the number of gradients refused as " + cause);
}

}  // namespace outerloop::simulation
