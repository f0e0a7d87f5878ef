#include "coordinator/meta_training.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/error.h"
#include "common/store/stream_message.h"
#include "coordinator/domain_conflict.h"

namespace outerloop::coordinator {
namespace {

/// The newest update whose evaluation the checkpoint records as complete.
std::optional<std::int64_t> newest_evaluated(const store::Checkpoint& start) {
  const auto found = start.counters.find(kEvaluatedUpdate);
  if (found == start.counters.end()) return std::nullopt;
  return found->second;
}

/// The newest task of any lane: a lane whose task failed has begun others within its round.
std::uint32_t newest_task(const proto::Gradient& gradient) {
  std::uint32_t newest = gradient.task();
  for (const auto& lane : gradient.lanes()) newest = std::max(newest, lane.task());
  return newest;
}

}  // namespace

MetaTraining::MetaTraining(const CoordinatorOptions& options, const store::Checkpoint& start,
                           Membership& membership, Observer& observer, double now)
    : options_(options),
      membership_(membership),
      observer_(observer),
      learner_(options.adam, options.average_decay, options.step_back, start, options.group),
      intake_(options, start.rule.theta.size()),
      collection_(options.streams, start.streams),
      evaluations_(options.evaluation, options.best, newest_evaluated(start)),
      start_(now),
      start_seconds_(start.seconds),
      now_(now),
      start_gradients_(gradients()),
      collected_at_(start.rule.update) {
  const auto kept = static_cast<std::int64_t>(start.streams.size());
  if (options_.deterministic && start.rule.update > 0 && kept != options_.streams)
    throw InputError(
        fmt::format("the checkpoint of update {} holds {} of {} streams, and mode = deterministic "
                    "needs all of them; continue from another checkpoint",
                    start.rule.update, kept, options_.streams));
  membership_.deal(collection_.states());
  set_mark();
  if (evaluations_.due(update()) && evaluations_.lacks(update())) begin_evaluation();
  if (options_.updates > 0 && update() >= options_.updates) request_stop(StopReason::updates);
}

void MetaTraining::set_mark() {
  mark_ = learner_.mark();
  mark_.state.seconds = seconds();
  mark_.state.streams = collection_.states();
}

void MetaTraining::take_gradient(int from, Member& member, const proto::WorkerMessage& message,
                                 net::FloatView floats) {
  const proto::Gradient& gradient = message.gradient();
  const bool of_this_segment = message.segment() == segment_;
  const bool own = member.streams.count(gradient.stream()) > 0;
  if (own && of_this_segment) membership_.note_task(gradient.stream(), newest_task(gradient));
  if (stopping()) return;
  enter(options_.profiler, Part::sum);
  const Refusal foreign = of_this_segment ? Refusal::layout : Refusal::stale;
  Verdict verdict{foreign, false, std::vector<Refusal>(static_cast<std::size_t>(options_.group), foreign)};
  // Deterministic: only a stream's own worker can fill its place.
  if (of_this_segment && (own || !options_.deterministic))
    verdict = intake_.take(from, gradient, floats, update());
  // After an outcome other than `finished` the stream has already moved on by itself.
  if (verdict.counts_as_zero && gradient.outcome() == proto::Gradient::finished)
    member.to_restart.push_back(gradient.stream());
  for (const Refusal lane : verdict.lanes) learner_.refuse(from, lane);
  enter(options_.profiler, Part::rest);
  if (intake_.full()) apply_batch();
}

void MetaTraining::apply_batch() {
  enter(options_.profiler, Part::adam);
  FullBatch batch = intake_.take_batch(update() + 1);
  for (const auto& [worker, cause] : batch.zeros) learner_.refuse(worker, cause);
  UpdateRecord record;
  record.batch = std::move(batch.summary);
  record.domain_cosines = std::move(batch.domain_cosines);
  record.seconds = seconds();
  learner_.apply(batch.mean, batch.notes, record);
  enter(options_.profiler, Part::rest);
  record.gradients_per_second =
      static_cast<double>(record.gradients - start_gradients_) / std::max(now_ - start_, 1e-9);
  observer_.on_update(record);
  if (record.stepped_back_to)
    observer_.on_warning(fmt::format(
        "diverging at update {}: θ and the optimizer step back to update {}, with a learning rate {} "
        "times as large",
        update(), *record.stepped_back_to, options_.step_back.learning_rate_factor));
  warn_of_conflict();
  if (!learner_.finite()) request_stop(StopReason::diverged);
  if (is_snapshot(update(), options_.theta_snapshots) && learner_.finite())
    observer_.on_snapshot(learner_.snapshot().rule);
  if (evaluations_.due(update()) && !stopping()) begin_evaluation();
  if (options_.updates > 0 && update() >= options_.updates) request_stop(StopReason::updates);
  const bool due = options_.checkpoint_every > 0 && update() - collected_at_ >= options_.checkpoint_every;
  // Streams can move only when all of them are known.
  const bool uneven = options_.deterministic && membership_.uneven();
  if ((due || uneven) && stop_reason_ == StopReason::none && !collection_.under_way()) begin_collection();
}

void MetaTraining::warn_of_conflict() {
  if (update() % kConflictUpdates != 0) return;
  const auto conflict = domain_conflict(learner_.history());
  if (!conflict) return;
  const auto& [rising, falling] = *conflict;
  observer_.on_warning(
      fmt::format("{0} get worse while {1} get better: over the {2} updates to {3} the running "
                  "meta-objective of {0} rose "
                  "from {4:.4f} to {5:.4f}, that of {1} fell from {6:.4f} to {7:.4f}; raise tasks.share.{0}, "
                  "or give θ more "
                  "channels (rule.hidden_channels)",
                  rising.domain, falling.domain, kConflictUpdates, update(), rising.first, rising.last,
                  falling.first, falling.last));
}

void MetaTraining::begin_collection() {
  collected_at_ = update();
  collection_.begin(membership_.busy());
}

/// In deterministic mode only requested streams count: those of a farewell may date from an earlier
/// collection or from a segment that was rolled back.
bool MetaTraining::may_keep_streams(int from, const proto::WorkerMessage& message) const {
  return message.segment() == segment_ && (collection_.awaits(from) || !options_.deterministic);
}

void MetaTraining::keep_streams_ahead(int from, const proto::WorkerMessage& message) {
  if (!may_keep_streams(from, message)) return;
  for (const auto& stream : message.streams()) keep_stream(store::from_message(stream));
}

void MetaTraining::keep_streams(int from, const proto::WorkerMessage& message) {
  if (!may_keep_streams(from, message)) return;
  std::vector<store::StreamState> states;
  for (const auto& stream : message.streams()) states.push_back(store::from_message(stream));
  collection_.keep(from, states);
  finish_collection();
}

/// In deterministic mode this precedes the next gradient of the last worker, so θ is still the one at which
/// the streams were requested.
void MetaTraining::finish_collection() {
  if (!collection_.complete()) return;
  collection_.end();
  if (stop_reason_ != StopReason::none) return;
  set_mark();
  if (wanted_stop_ == StopReason::none) {
    observer_.on_checkpoint(snapshot());
    if (options_.deterministic && membership_.uneven()) {
      deal_anew(mark_.state.streams);
      observer_.on_warning(
          fmt::format("{} workers share the streams from update {} on", membership_.staying(), update()));
      observer_.on_rollback(update());
    }
  }
  settle_stop();
}

void MetaTraining::take_result(int from, const proto::Evaluated& evaluated) {
  const proto::Piece& piece = evaluated.piece();
  const EvaluationResult result{evaluated.outcome() == proto::Gradient::finished, evaluated.meta_objective(),
                                evaluated.accuracy(), evaluated.seconds()};
  if (!evaluations_.accept(from, {piece.update(), piece.dataset(), piece.task()}, result))
    return evaluations_.take_back(from);
  const auto record = evaluations_.take_finished();
  if (!record) return;
  learner_.note_evaluated(*evaluations_.newest());
  observer_.on_evaluation(*record);
  settle_stop();
}

void MetaTraining::lose(int worker) {
  evaluations_.take_back(worker);
  const auto orphans = membership_.lose(worker);
  learner_.count_lost_worker();
  // If only an evaluation is awaited, all streams are already known at the last θ.
  const bool final_streams = wanted_stop_ != StopReason::none && !collection_.under_way();
  if (options_.deterministic && !orphans.empty() && stop_reason_ == StopReason::none && !final_streams)
    roll_back();
  else if (!options_.deterministic)
    collection_.keep(worker, orphans);
  collection_.forget(worker);
}

/// φ of the lost worker's streams is gone: all streams return to their last known states.
void MetaTraining::roll_back() {
  learner_.rewind(mark_);
  evaluations_.go_back_to(update());
  deal_anew(mark_.state.streams);
  start_ = now_;
  start_seconds_ = mark_.state.seconds;
  start_gradients_ = gradients();
  collected_at_ = update();
  observer_.on_warning(fmt::format("back to the checkpoint of update {}; {} workers continue", update(),
                                   membership_.active()));
  observer_.on_rollback(update());
  // The run will reach a limit of updates again; other reasons still hold, and the run can stop here.
  if (wanted_stop_ != StopReason::none && wanted_stop_ != StopReason::updates) stop(wanted_stop_);
  wanted_stop_ = StopReason::none;
}

/// Deals all streams out anew, with their states at the present θ. Gradients of this θ so far are dropped,
/// and those in transit will be rejected: all are computed again.
void MetaTraining::deal_anew(const std::vector<store::StreamState>& states) {
  intake_.clear();
  collection_.cancel();
  collection_.keep(-1, states);
  membership_.deal(states);
  ++segment_;
}

void MetaTraining::request_stop(StopReason reason) {
  if (stop_reason_ != StopReason::none) return;
  if (reason == StopReason::diverged) return stop(reason);  // a diverged θ is neither saved nor evaluated
  if (!is_limit(reason))
    evaluations_.cancel_all();
  else if (wanted_stop_ == StopReason::none && evaluations_.lacks(update()))
    begin_evaluation();
  if (wanted_stop_ == StopReason::none) wanted_stop_ = reason;
  // Streams that were just collected need not be requested again.
  const bool known = collected_at_ == update() && !collection_.under_way();
  if (options_.deterministic && !known && !collection_.under_way()) begin_collection();
  finish_collection();
  settle_stop();
}

void MetaTraining::stop(StopReason reason) {
  stop_reason_ = reason;
  evaluations_.cancel_all();
}

/// Stops once nothing is awaited any more.
void MetaTraining::settle_stop() {
  const bool collecting = options_.deterministic && collection_.under_way();
  if (wanted_stop_ == StopReason::none || stop_reason_ != StopReason::none || collecting) return;
  if (evaluations_.idle()) stop(wanted_stop_);
}

Answer MetaTraining::answer(int to, Member& member) {
  // A leaving worker gets no pieces: nothing should wait for it.
  const bool may_evaluate = stop_reason_ == StopReason::none && member.staying();
  const auto piece = may_evaluate ? evaluations_.deal(to) : std::nullopt;
  return make_answer(to, member,
                     {learner_, evaluations_, segment_, wanted_stop_, stop_reason_, options_.assign_bytes},
                     piece, collection_.awaits(to));
}

store::Checkpoint MetaTraining::snapshot() const {
  store::Checkpoint checkpoint = learner_.snapshot();
  checkpoint.seconds = seconds();
  checkpoint.streams = collection_.states();
  return checkpoint;
}

}  // namespace outerloop::coordinator
