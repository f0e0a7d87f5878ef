#include "coordinator/coordinator.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/store/stream_message.h"
#include "coordinator/admission.h"

namespace outerloop::coordinator {
namespace {

constexpr std::size_t kMostHost = 256;  // bytes of each text in a hello
constexpr double kGraceSeconds = 0.5;   // for the last messages of a process whose connection has ended
constexpr double kLongestTick = 0.3;    // longest time between two ticks that counts towards it

/// A message that carries only a stream, sent ahead of the one that gets an answer.
bool is_ahead(const proto::WorkerMessage& message) {
  return message.kind_case() == proto::WorkerMessage::KIND_NOT_SET &&
         message.streams_size() + message.given_up_size() > 0;
}

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options, const store::Checkpoint& start,
                         const std::vector<int>& workers, Observer& observer, double now)
    : options_(std::move(options)),
      observer_(observer),
      first_(workers.begin(), workers.end()),
      membership_(workers, now),
      training_(options_, start, membership_, observer, now),
      ticked_(now),
      now_(now) {
  OUTERLOOP_CHECK(
      options_.batch > 0 && options_.streams > 0 && options_.deadline > 0.0,
      fmt::format("batch {}, streams {}, deadline {}", options_.batch, options_.streams, options_.deadline));
}

bool Coordinator::read(int from, const std::string& bytes, net::FrameView& frame,
                       proto::WorkerMessage& message) {
  try {
    frame = net::view(bytes);
    if (message.ParseFromArray(frame.header.data(), static_cast<int>(frame.header.size()))) return true;
    throw InputError("it is not a worker's message");
  } catch (const InputError& error) {
    ignore(from, error.what());
    return false;
  }
}

/// A rank that sends only unusable messages is lost.
void Coordinator::ignore(int from, const std::string& what) {
  if (const auto line = complaints_.add(from, what, now_)) observer_.on_warning(*line);
  const Member* member = membership_.find(from);
  if (member != nullptr && member->active() && complaints_.too_many(from))
    lose(from, fmt::format("{} messages in a row cannot be used", Complaints::kMostInARow),
         NoticedBy::itself);
}

std::vector<Answer> Coordinator::handle_oversize(int from, std::int64_t bytes, double now) {
  now_ = now;
  training_.set_now(now);
  Member* member = membership_.find(from);
  const std::string what = fmt::format("a message of {} bytes is larger than any of this run", bytes);
  if (member == nullptr) {
    ignore(from, what);
    return {};
  }
  if (member->active()) lose(from, what, NoticedBy::itself);
  return {training_.answer(from, *member)};
}

std::vector<Answer> Coordinator::handle(int from, const std::string& bytes, double now) {
  now_ = now;
  training_.set_now(now);
  net::FrameView frame;
  proto::WorkerMessage message;
  if (!read(from, bytes, frame, message)) return {};
  if (message.has_progress()) {
    take_progress(from, message, now);
    return {};
  }
  Member* member = membership_.find(from);
  if (member == nullptr && message.has_hello()) member = &membership_.admit(from, now);
  if (member == nullptr) {
    ignore(from, "it has not said hello");
    return {};
  }
  if (member->active()) {
    member->hear(now);
    member->got_on = now;
    member->progress_step = 0;
    if (is_ahead(message))
      take_streams(from, *member, message);
    else if (!act(from, *member, message, frame.floats))
      return {};
  }
  if (is_ahead(message)) return {};
  return {training_.answer(from, *member)};
}

/// A higher step than before postpones the worker's deadline.
void Coordinator::take_progress(int from, const proto::WorkerMessage& message, double now) {
  turnover_.hear_of(from, now);
  Member* member = membership_.find(from);
  if (member == nullptr || !member->active()) return;
  member->hear(now);
  if (message.signalled()) request_stop(StopReason::signal);
  if (message.progress().step() <= member->progress_step) return;
  member->progress_step = message.progress().step();
  member->got_on = now;
}

/// Returns whether the message gets an answer.
bool Coordinator::act(int from, Member& member, const proto::WorkerMessage& message, net::FloatView floats) {
  if (!message.has_evaluated()) training_.take_back_piece(from);
  if (message.signalled()) request_stop(StopReason::signal);
  if (message.leaving() && !member.leaving) on_leaving(member);
  if (!take_streams(from, member, message)) return true;
  if (message.kind_case() != proto::WorkerMessage::KIND_NOT_SET) complaints_.forgive(from);
  switch (message.kind_case()) {
    case proto::WorkerMessage::kHello:
      on_hello(from, member, message.hello());
      break;
    case proto::WorkerMessage::kGradient:
      training_.take_gradient(from, member, message, floats);
      break;
    case proto::WorkerMessage::kEvaluated:
      training_.take_result(from, message.evaluated());
      break;
    case proto::WorkerMessage::kWaiting:
      break;
    case proto::WorkerMessage::kFailure:
      lose(from, base::printable(message.failure().message()), NoticedBy::itself);
      return false;
    case proto::WorkerMessage::kFarewell:
      member.farewell = true;
      return false;
    default:
      ignore(from, "it is of an unknown kind");
  }
  if (member.leaving && member.active() && member.streams.empty() && !stopping()) let_go(from, member);
  return true;
}

void Coordinator::on_hello(int from, Member& member, const proto::Hello& hello) {
  member.host = base::printable(hello.host(), kMostHost);
  member.pid = hello.pid();
  member.process = hello.process().substr(0, kMostHost);
  turnover_.arrive(from);
  auto& rule = training_.rule();
  if (rule.engine.empty()) {
    rule.engine = base::printable(hello.engine(), kMostHost);
    rule.instruction_set = base::printable(hello.instruction_set(), kMostHost);
  }
  const std::string objection = objection_to(hello, rule, options_.deterministic);
  if (!objection.empty()) return lose(from, objection, NoticedBy::itself);
  if (!compare_newcomer(from, hello)) return;
  if (membership_.busy().empty() && !stopping())
    membership_.deal(training_.streams());  // all other workers are lost
  else if (!options_.deterministic)
    membership_.even_out();
}

/// Compares a late joiner with the run; the initial ranks were compared at start-up. Returns whether the
/// worker may take part.
bool Coordinator::compare_newcomer(int worker, const proto::Hello& hello) {
  if (first_.count(worker) > 0) return true;
  for (const auto& line : differences_of(hello, options_)) {
    if (options_.deterministic) {
      lose(worker, line, NoticedBy::itself);
      return false;
    }
    if (said_.insert(line).second) observer_.on_warning(line);
  }
  return true;
}

/// Why the streams in a message are rejected; empty if they are valid. Given-up streams that were not
/// requested are ignored.
std::string Coordinator::objection_to_streams(const Member& member,
                                              const proto::WorkerMessage& message) const {
  if (message.segment() != segment()) return {};
  const std::size_t theta = training_.learner().parameters();
  for (const auto& state : message.streams())
    if (auto objection = objection_to(state, member.streams, update(), theta, options_); !objection.empty())
      return objection;
  const auto& asked = member.giving_up;
  for (const auto& state : message.given_up())
    if (asked.count(state.stream()) > 0)
      if (auto objection = objection_to(state, asked, update(), theta, options_); !objection.empty())
        return objection;
  return {};
}

/// Returns whether the streams are valid. Otherwise the worker is lost, because the state of its streams is
/// unknown.
bool Coordinator::take_streams(int from, const Member& member, const proto::WorkerMessage& message) {
  if (const std::string objection = objection_to_streams(member, message); !objection.empty()) {
    lose(from, objection, NoticedBy::itself);
    return false;
  }
  take_given_up(from, message);  // first, because the next call may complete a checkpoint
  if (is_ahead(message))
    training_.keep_streams_ahead(from, message);
  else if (message.has_streams())
    training_.keep_streams(from, message);
  return true;
}

/// A stream that the worker was asked to give up continues on another worker, from its present state.
void Coordinator::take_given_up(int from, const proto::WorkerMessage& message) {
  for (const auto& stream : message.given_up()) {
    const auto state = store::from_message(stream);
    if (membership_.take_back(from, state)) training_.keep_stream(state);
  }
}

/// Asynchronous: the worker's next message brings its streams. Deterministic: after the next update, when all
/// streams are known, they are dealt out to the others.
void Coordinator::on_leaving(Member& member) {
  member.leaving = true;
  stop_without_workers();
  if (!options_.deterministic && !stopping()) membership_.even_out();
}

void Coordinator::let_go(int worker, Member& member) {
  member.farewell = true;
  turnover_.add(Departure{worker, member.host, member.pid, update(), training_.seconds()});
  observer_.on_warning(
      fmt::format("worker {} on {} (process {}) leaves after a signal", worker, member.host, member.pid));
  training_.leave(worker);
  training_.finish_collection();
}

void Coordinator::lose(int worker, const std::string& why, NoticedBy by) {
  const Member& member = *membership_.find(worker);
  const double after = now_ - member.last_heard;
  turnover_.add(Loss{worker, member.host, member.pid, why, update(), training_.seconds(), by, after});
  observer_.on_warning(fmt::format(
      "worker {} on {} (process {}) is lost: {} (noticed by {}, {:.1f} s after it was last heard of)", worker,
      member.host, member.pid, why, noticed_by_name(by), after));
  const auto recent = turnover_.recent_losses(training_.seconds());
  training_.lose(worker);
  if (recent > options_.max_failures && !stopping())
    observer_.on_warning(
        fmt::format("{} workers were lost within an hour, and max_failures = {}: the run ends", recent,
                    options_.max_failures));
  if (recent > options_.max_failures) request_stop(StopReason::failures);
  if (!options_.replaces) stop_without_workers();
  training_.finish_collection();
}

void Coordinator::tick(double now) {
  now_ = now;
  training_.set_now(now);
  lose_disconnected(now);
  lose_overdue(now);
  if (const auto line = complaints_.overdue(now)) observer_.on_warning(*line);
  for (const int worker : turnover_.take_overdue(now, options_.deadline))
    give_up(worker, fmt::format("has not said hello for {:.0f} s", options_.deadline));
  if (options_.seconds > 0.0 && seconds(now) >= options_.seconds) request_stop(StopReason::seconds);
}

void Coordinator::lose_overdue(double now) {
  for (const int worker : membership_.overdue(now, options_.deadline)) {
    const bool silent = now - membership_.find(worker)->last_heard > options_.deadline;
    lose(worker, fmt::format("{} for {:.0f} s", silent ? "silent" : "no progress", options_.deadline),
         NoticedBy::deadline);
  }
}

void Coordinator::connection_ended(int worker, bool timed_out, double now) {
  now_ = now;
  disconnected_.emplace(worker, Disconnected{timed_out ? NoticedBy::keep_alive : NoticedBy::connection, 0.0});
}

/// Pauses of this process, e.g. to write a checkpoint, do not count towards the grace period.
void Coordinator::lose_disconnected(double now) {
  const double passed = std::min(now - ticked_, kLongestTick);
  ticked_ = now;
  for (auto it = disconnected_.begin(); it != disconnected_.end();) {
    auto& [worker, gone] = *it;
    const Member* member = membership_.find(worker);
    if (member != nullptr && !member->active()) {
      it = disconnected_.erase(it);
      continue;
    }
    gone.waited += passed;
    if (gone.waited < kGraceSeconds) {
      ++it;
      continue;
    }
    if (member != nullptr)
      lose(worker, reason_of(gone.by), gone.by);
    else if (turnover_.expects(worker))
      give_up(worker, "has ended before its hello");
    it = disconnected_.erase(it);
  }
}

std::string Coordinator::reason_of(NoticedBy by) const {
  return by == NoticedBy::connection
             ? "its process has ended"
             : fmt::format("no sign of life of its host, or of the network to it, for {:g} s",
                           options_.silence);
}

void Coordinator::give_up(int expected, const std::string& why) {
  turnover_.arrive(expected);
  observer_.on_warning(fmt::format("worker {}, started as a replacement, {}", expected, why));
  stop_without_workers();
}

void Coordinator::stop_without_workers() {
  if (turnover_.expecting()) return;
  if (membership_.active() == 0)
    request_stop(StopReason::failures);
  else if (membership_.staying() == 0)
    request_stop(StopReason::signal);
}

void Coordinator::no_replacement() {
  options_.replaces = false;
  stop_without_workers();
}

void Coordinator::process_ended(int worker, double now) {
  now_ = now;
  training_.set_now(now);
  const Member* member = membership_.find(worker);
  if (member != nullptr && member->active()) lose(worker, "its process has ended", NoticedBy::process);
}

}  // namespace outerloop::coordinator
