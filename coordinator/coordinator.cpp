#include "coordinator/coordinator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "common/base/error.h"

namespace outerloop::coordinator {
namespace {

constexpr double kHour = 3600.0;

CoordinatorOptions checked(CoordinatorOptions options) {
  if (!options.deterministic) return options;
  OUTERLOOP_CHECK_EQ(options.batch, options.streams);
  options.staleness_bound = 0;
  return options;
}

}  // namespace

std::int64_t default_staleness_bound(std::int64_t workers, std::int64_t batch) {
  return 2 * ((workers + batch - 1) / batch);
}

const char* stop_reason_name(StopReason reason) {
  switch (reason) {
    case StopReason::none:
      return "none";
    case StopReason::updates:
      return "updates";
    case StopReason::seconds:
      return "seconds";
    case StopReason::signal:
      return "signal";
    case StopReason::failures:
      return "failures";
    case StopReason::disk:
      return "disk";
    case StopReason::diverged:
      return "diverged";
  }
  return "none";
}

Coordinator::Coordinator(CoordinatorOptions options, store::Checkpoint start, const std::vector<int>& workers,
                         Observer& observer, double now)
    : options_(checked(options)),
      observer_(observer),
      learner_(options.adam, options.average_decay, options.step_back, start),
      batch_(start.rule.theta.size(), options.reject_norm),
      order_(options.streams),
      collection_(options.streams, start.streams),
      first_workers_(workers.size()),
      membership_(workers, collection_.states(), now),
      evaluations_(options.evaluation),
      best_(options.best),
      start_(now),
      start_seconds_(start.seconds),
      now_(now),
      start_gradients_(gradients()),
      collected_at_(start.rule.update),
      mark_(learner_.mark()) {
  const auto kept = static_cast<std::int64_t>(start.streams.size());
  if (options_.deterministic && start.rule.update > 0 && kept != options_.streams)
    throw InputError(
        fmt::format("the checkpoint of update {} holds {} of {} streams, and mode = deterministic "
                    "needs all of them; go on from another checkpoint",
                    start.rule.update, kept, options_.streams));
  mark_.state.seconds = start.seconds;
  mark_.state.streams = collection_.states();
  if (const auto found = start.counters.find(kEvaluatedUpdate); found != start.counters.end())
    evaluated_ = found->second;
  if (evaluations_.due(update()) && evaluated_ != update()) begin_evaluation();
  if (options_.updates > 0 && update() >= options_.updates) request_stop(StopReason::updates);
}

bool Coordinator::read(int from, const std::string& bytes, net::FrameView& frame,
                       proto::WorkerMessage& message) const {
  try {
    frame = net::view(bytes);
    if (message.ParseFromArray(frame.header.data(), static_cast<int>(frame.header.size()))) return true;
    throw InputError("it is no worker's message");
  } catch (const InputError& error) {
    observer_.on_warning(fmt::format("a message from rank {} is ignored: {}", from, error.what()));
    return false;
  }
}

std::vector<Answer> Coordinator::handle(int from, const std::string& bytes, double now) {
  now_ = now;
  net::FrameView frame;
  proto::WorkerMessage message;
  if (!read(from, bytes, frame, message)) return {};
  Member* member = membership_.find(from);
  if (member == nullptr && message.kind_case() == proto::WorkerMessage::kHello)
    member = &membership_.admit(from, now);
  if (member == nullptr) {
    observer_.on_warning(fmt::format("a message from rank {} is ignored: it has not said hello", from));
    return {};
  }
  if (member->active()) {
    member->last_heard = now;
    if (!message.has_evaluated()) evaluations_.take_back(from);
    if (message.signalled()) request_stop(StopReason::signal);
    if (message.leaving() && !member->leaving) on_leaving(*member);
    take_given_up(from, message);  // before what may complete a checkpoint
    if (message.has_streams()) keep_streams(from, message);
    switch (message.kind_case()) {
      case proto::WorkerMessage::kHello:
        on_hello(from, *member, message.hello(), now);
        break;
      case proto::WorkerMessage::kGradient:
        on_gradient(from, message, frame.floats, now);
        break;
      case proto::WorkerMessage::kEvaluated:
        on_evaluated(from, message.evaluated());
        break;
      case proto::WorkerMessage::kWaiting:
        break;
      case proto::WorkerMessage::kFailure:
        lose(from, message.failure().message(), now);
        return {};
      case proto::WorkerMessage::kFarewell:
        member->farewell = true;
        return {};
      default:
        observer_.on_warning(fmt::format("a message of an unknown kind from rank {} is ignored", from));
    }
    if (member->leaving && member->active() && member->streams.empty() && !stopping())
      let_go(from, *member, now);
  }
  return {answer(from, *member)};
}

void Coordinator::on_hello(int from, Member& member, const proto::Hello& hello, double now) {
  member.host = hello.host();
  member.pid = hello.pid();
  member.process = hello.process();
  expected_.erase(from);
  auto& rule = learner_.rule();
  if (rule.engine.empty()) {
    rule.engine = hello.engine();
    rule.instruction_set = hello.instruction_set();
  }
  if (hello.protocol() != store::kProtocol)
    return lose(from, "it is of another version of the program; start all ranks with the same one", now);
  const bool same = rule.engine == hello.engine() && rule.instruction_set == hello.instruction_set();
  if (options_.deterministic && !same)
    return lose(
        from,
        fmt::format("it computes with {} ({}), the others with {} ({}), and mode = deterministic needs the "
                    "same bits everywhere; set engine.instruction_set to what all hosts have",
                    hello.engine(), hello.instruction_set(), rule.engine, rule.instruction_set),
        now);
  if (membership_.busy().empty() && !stopping())
    membership_.deal(collection_.states());  // all others are lost
  else if (!options_.deterministic)
    membership_.even_out();
}

/// What can be said without a look at the numbers.
Refusal Coordinator::refusal(const proto::WorkerMessage& message, std::size_t floats) const {
  const proto::Gradient& gradient = message.gradient();
  if (message.segment() != segment_ || gradient.theta_version() > update() ||
      update() - gradient.theta_version() > options_.staleness_bound)
    return "stale";
  const bool known = gradient.stream() < options_.streams;
  if (options_.deterministic && known && order_.has(gradient.stream())) return "duplicate";
  if (gradient.outcome() == proto::Gradient::dead_features) return "dead_features";
  if (gradient.outcome() != proto::Gradient::finished) return "not_finite";
  if (floats != learner_.parameters() || !known) return "layout";
  if (!std::isfinite(gradient.norm()) || !std::isfinite(gradient.meta_objective())) return "not_finite";
  return gradient.norm() > options_.reject_norm ? "norm" : "";
}

/// Takes the numbers into the batch, unless they are such that they may not.
Refusal Coordinator::accept(int from, const proto::Gradient& gradient, net::FloatView floats) {
  GradientNote note{from, gradient.meta_objective(), gradient.norm(), update() - gradient.theta_version(),
                    gradient.dataset()};
  if (options_.deterministic) return order_.put(gradient.stream(), floats, std::move(note), batch_);
  return batch_.add(floats, std::move(note));
}

void Coordinator::on_gradient(int from, const proto::WorkerMessage& message, net::FloatView floats,
                              double now) {
  const proto::Gradient& gradient = message.gradient();
  if (gradient.stream() < options_.streams && message.segment() == segment_)
    membership_.note_task(gradient.stream(), gradient.task());
  if (stopping()) return;
  enter(Part::sum);
  Refusal cause = refusal(message, floats.size());
  if (cause.empty()) cause = accept(from, gradient, floats);
  if (!cause.empty()) refuse(from, gradient, cause);
  enter(Part::rest);
  if (options_.deterministic ? order_.complete() : batch_.size() == options_.batch) apply_batch(now);
}

void Coordinator::refuse(int from, const proto::Gradient& gradient, const std::string& cause) {
  const bool counts = cause != "stale" && cause != "duplicate" && gradient.stream() < options_.streams;
  if (!options_.deterministic || !counts) return learner_.refuse(from, cause);
  order_.skip(gradient.stream(), batch_);
  skipped_.emplace_back(from, cause);
  // After an outcome that is no gradient the stream has gone on by itself.
  if (gradient.outcome() == proto::Gradient::finished)
    membership_.find(from)->to_restart.push_back(gradient.stream());
}

void Coordinator::apply_batch(double now) {
  enter(Part::adam);
  UpdateRecord record;
  const auto notes = batch_.notes();
  const auto mean = batch_.take(options_.batch, options_.batch_norm_clip, record.batch);
  order_.clear();
  for (const auto& [worker, cause] : skipped_) learner_.refuse(worker, cause);
  skipped_.clear();
  record.seconds = seconds(now);
  learner_.apply(mean, notes, record);
  enter(Part::rest);
  record.gradients_per_second =
      static_cast<double>(record.gradients - start_gradients_) / std::max(now - start_, 1e-9);
  observer_.on_update(record);
  if (record.stepped_back_to)
    observer_.on_warning(fmt::format(
        "diverging at update {}: θ and the optimizer step back to update {}, with a learning rate {} "
        "times as large",
        update(), *record.stepped_back_to, options_.step_back.learning_rate_factor));
  if (!learner_.finite()) request_stop(StopReason::diverged);
  if (evaluations_.due(update()) && !stopping()) begin_evaluation();
  if (options_.updates > 0 && update() >= options_.updates) request_stop(StopReason::updates);
  const bool due = options_.checkpoint_every > 0 && update() - collected_at_ >= options_.checkpoint_every;
  // Streams can change hands only where all of them are known.
  const bool uneven = options_.deterministic && membership_.uneven();
  if ((due || uneven) && stop_reason_ == StopReason::none && !collection_.under_way()) begin_collection();
}

void Coordinator::begin_collection() {
  collected_at_ = update();
  collection_.begin(membership_.busy());
}

void Coordinator::keep_streams(int from, const proto::WorkerMessage& message) {
  // Deterministic: what a farewell brings is of the moment that was collected before, or of a segment that
  // was rolled back.
  const bool asked = collection_.awaits(from) || !options_.deterministic;
  if (message.segment() != segment_ || !asked) return;
  std::vector<store::StreamState> states;
  for (const auto& stream : message.streams()) states.push_back(store::from_message(stream));
  collection_.keep(from, states);
  finish_collection();
}

/// What a worker was asked to give up goes on elsewhere, from where it stands.
void Coordinator::take_given_up(int from, const proto::WorkerMessage& message) {
  for (const auto& stream : message.given_up()) {
    const auto state = store::from_message(stream);
    if (membership_.take_back(from, state)) collection_.keep(-1, {state});
  }
}

/// In deterministic mode this comes before the next gradient of the last worker asked, so θ is still the one
/// that the streams were asked for at.
void Coordinator::finish_collection() {
  if (!collection_.complete()) return;
  collection_.end();
  if (stop_reason_ != StopReason::none) return;
  mark_ = learner_.mark();
  mark_.state.seconds = seconds(now_);
  mark_.state.streams = collection_.states();
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

void Coordinator::begin_evaluation() { evaluations_.begin(learner_.rule(), seconds(now_)); }

void Coordinator::on_evaluated(int from, const proto::Evaluated& evaluated) {
  const proto::Piece& piece = evaluated.piece();
  const EvaluationResult result{evaluated.outcome() == proto::Gradient::finished, evaluated.meta_objective(),
                                evaluated.accuracy(), evaluated.seconds()};
  if (!evaluations_.accept(from, {piece.update(), piece.dataset(), piece.task()}, result))
    return evaluations_.take_back(from);
  auto record = evaluations_.take_finished();
  if (!record) return;
  evaluated_ = std::max(evaluated_.value_or(0), record->update);
  learner_.note_evaluated(*evaluated_);
  // NaN, where there is no validation, is below nothing.
  record->best = std::isfinite(record->validation) && (!best_ || record->validation < best_->validation);
  if (record->best) best_ = BestRule{record->update, record->validation};
  observer_.on_evaluation(*record);
  settle_stop();
}

/// Asynchronous: its streams come with its next message. Deterministic: with the next update, where all
/// streams are known, they are dealt out without it.
void Coordinator::on_leaving(Member& member) {
  member.leaving = true;
  stop_without_workers();
  if (!options_.deterministic && !stopping()) membership_.even_out();
}

void Coordinator::let_go(int worker, Member& member, double now) {
  member.farewell = true;
  departures_.push_back({worker, member.host, member.pid, update(), seconds(now)});
  observer_.on_warning(fmt::format("worker {} on {} (process {}) leaves, as a signal told it to", worker,
                                   member.host, member.pid));
  collection_.forget(worker);
  finish_collection();
}

void Coordinator::lose(int worker, const std::string& why, double now) {
  const Member& member = *membership_.find(worker);
  losses_.push_back({worker, member.host, member.pid, why, update(), seconds(now)});
  observer_.on_warning(
      fmt::format("worker {} on {} (process {}) is lost: {}", worker, member.host, member.pid, why));
  evaluations_.take_back(worker);
  const auto orphans = membership_.lose(worker);
  learner_.count_lost_worker();
  const auto recent = std::count_if(losses_.begin(), losses_.end(),
                                    [&](const Loss& loss) { return seconds(now) - loss.seconds <= kHour; });
  // Where only an evaluation is still waited for, all streams are known at the last θ already.
  const bool final_streams = wanted_stop_ != StopReason::none && !collection_.under_way();
  if (options_.deterministic && !orphans.empty() && stop_reason_ == StopReason::none && !final_streams)
    roll_back(now);
  else if (!options_.deterministic)
    collection_.keep(worker, orphans);
  collection_.forget(worker);
  if (recent > options_.max_failures && !stopping())
    observer_.on_warning(
        fmt::format("{} workers were lost within an hour, and max_failures = {}: the run ends", recent,
                    options_.max_failures));
  if (recent > options_.max_failures) request_stop(StopReason::failures);
  if (!options_.replaces) stop_without_workers();
  finish_collection();
}

/// φ of the lost worker's streams is gone: all streams go back to where they are known to have been.
void Coordinator::roll_back(double now) {
  learner_.rewind(mark_);
  evaluations_.cancel_after(update());
  if (evaluated_ && *evaluated_ > update()) evaluated_.reset();
  deal_anew(mark_.state.streams);
  start_ = now;
  start_seconds_ = mark_.state.seconds;
  start_gradients_ = gradients();
  collected_at_ = update();
  observer_.on_warning(fmt::format("back to the checkpoint of update {}, to go on with {} workers", update(),
                                   membership_.active()));
  observer_.on_rollback(update());
  // A limit that was reached is reached again; other reasons to stop still hold, and here the run can.
  if (wanted_stop_ != StopReason::none && wanted_stop_ != StopReason::updates) stop(wanted_stop_);
  wanted_stop_ = StopReason::none;
}

/// Every stream to a worker anew, as it stood when the present θ was new. What has been computed with this θ
/// so far is dropped, and what is on its way refused: all of it comes again.
void Coordinator::deal_anew(const std::vector<store::StreamState>& states) {
  batch_.clear();
  order_.clear();
  skipped_.clear();
  collection_.cancel();
  collection_.keep(-1, states);
  membership_.deal(states);
  ++segment_;
}

void Coordinator::tick(double now) {
  now_ = now;
  for (const int worker : membership_.silent(now, options_.deadline))
    lose(worker, fmt::format("silent for {:.0f} s", options_.deadline), now);
  for (auto it = expected_.begin(); it != expected_.end();) {
    if (now - it->second <= options_.deadline) {
      ++it;
      continue;
    }
    observer_.on_warning(
        fmt::format("worker {}, started in a lost one's place, has not said hello for {:.0f} s", it->first,
                    options_.deadline));
    it = expected_.erase(it);
    stop_without_workers();
  }
  if (options_.seconds > 0.0 && seconds(now) >= options_.seconds) request_stop(StopReason::seconds);
}

void Coordinator::stop_without_workers() {
  if (!expected_.empty()) return;
  if (membership_.active() == 0)
    request_stop(StopReason::failures);
  else if (membership_.staying() == 0)
    request_stop(StopReason::signal);
}

void Coordinator::expect(int worker, double now) { expected_[worker] = now; }

void Coordinator::no_replacement() {
  options_.replaces = false;
  stop_without_workers();
}

void Coordinator::process_ended(int worker, double now) {
  now_ = now;
  const Member* member = membership_.find(worker);
  if (member != nullptr && member->active()) lose(worker, "its process has ended", now);
}

void Coordinator::request_stop(StopReason reason) {
  if (stop_reason_ != StopReason::none) return;
  if (reason == StopReason::diverged) return stop(reason);  // what has diverged is neither kept nor evaluated
  const bool limit = reason == StopReason::updates || reason == StopReason::seconds;
  if (!limit)
    evaluations_.cancel_all();
  else if (wanted_stop_ == StopReason::none && options_.evaluation.enabled() && evaluated_ != update() &&
           !evaluations_.knows(update()))
    begin_evaluation();
  if (wanted_stop_ == StopReason::none) wanted_stop_ = reason;
  // What was just collected need not be asked for.
  const bool known = collected_at_ == update() && !collection_.under_way();
  if (options_.deterministic && !known && !collection_.under_way()) begin_collection();
  finish_collection();
  settle_stop();
}

void Coordinator::stop(StopReason reason) {
  stop_reason_ = reason;
  evaluations_.cancel_all();
}

/// Stops where nothing is waited for any more.
void Coordinator::settle_stop() {
  const bool collecting = options_.deterministic && collection_.under_way();
  if (wanted_stop_ == StopReason::none || stop_reason_ != StopReason::none || collecting) return;
  if (evaluations_.idle()) stop(wanted_stop_);
}

void Coordinator::add_piece(const EvaluationPiece& piece, Member& member, proto::CoordinatorMessage& message,
                            std::vector<float>& floats) const {
  message.mutable_piece()->set_update(piece.update);
  message.mutable_piece()->set_dataset(piece.dataset);
  message.mutable_piece()->set_task(piece.task);
  if (member.evaluated_version == piece.update) return;
  floats = evaluations_.theta(piece.update);
  member.evaluated_version = piece.update;
}

Answer Coordinator::answer(int to, Member& member) {
  proto::CoordinatorMessage message;
  message.set_theta_version(update());
  message.set_segment(segment_);
  Answer result{to, {}};
  if (member.lost) {
    message.set_command(proto::CoordinatorMessage::refused);
  } else if (member.farewell && member.leaving) {
    message.set_command(proto::CoordinatorMessage::released);
  } else if (stop_reason_ != StopReason::none) {
    message.set_command(proto::CoordinatorMessage::stop);
  } else {
    const bool pause = wanted_stop_ != StopReason::none;
    // Who has left is not waited for.
    const auto piece = member.staying() ? evaluations_.deal(to) : std::nullopt;
    message.set_command(piece   ? proto::CoordinatorMessage::evaluate
                        : pause ? proto::CoordinatorMessage::pause
                                : proto::CoordinatorMessage::work);
    message.set_send_streams(collection_.awaits(to));
    for (const auto& state : member.to_assign) *message.add_assign() = store::to_message(state);
    message.mutable_restart()->Add(member.to_restart.begin(), member.to_restart.end());
    message.mutable_give_up()->Add(member.to_give_up.begin(), member.to_give_up.end());
    member.giving_up.insert(member.giving_up.end(), member.to_give_up.begin(), member.to_give_up.end());
    member.to_assign.clear();
    member.to_restart.clear();
    member.to_give_up.clear();
    if (piece) {
      add_piece(*piece, member, message, result.frame.floats);
    } else if (!pause && member.theta_version != update()) {
      result.frame.floats = learner_.theta();
      member.theta_version = update();
    }
  }
  result.frame.header = message.SerializeAsString();
  return result;
}

std::vector<Answer> Coordinator::release() const {
  std::vector<Answer> answers;
  std::set<int> gone;
  for (const auto& departure : departures_) gone.insert(departure.worker);
  for (const auto& [number, member] : membership_.members()) {
    if (!member.farewell || gone.count(number) > 0) continue;
    proto::CoordinatorMessage message;
    message.set_command(proto::CoordinatorMessage::released);
    message.set_finalize(may_finalize());
    answers.push_back({number, {message.SerializeAsString(), {}}});
  }
  return answers;
}

store::Checkpoint Coordinator::snapshot() const {
  store::Checkpoint checkpoint = learner_.snapshot();
  checkpoint.seconds = seconds(now_);
  checkpoint.streams = collection_.states();
  return checkpoint;
}

}  // namespace outerloop::coordinator
