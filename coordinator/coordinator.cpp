#include "coordinator/coordinator.h"

#include <fmt/format.h>

#include "common/base/error.h"
#include "common/store/stream_message.h"
#include "coordinator/admission.h"

namespace outerloop::coordinator {

Coordinator::Coordinator(CoordinatorOptions options, const store::Checkpoint& start,
                         const std::vector<int>& workers, Observer& observer, double now)
    : options_(std::move(options)),
      observer_(observer),
      first_workers_(workers.size()),
      membership_(workers, now),
      training_(options_, start, membership_, observer, now) {
  OUTERLOOP_CHECK(
      options_.batch > 0 && options_.streams > 0 && options_.deadline > 0.0,
      fmt::format("batch {}, streams {}, deadline {}", options_.batch, options_.streams, options_.deadline));
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
  training_.set_now(now);
  net::FrameView frame;
  proto::WorkerMessage message;
  if (!read(from, bytes, frame, message)) return {};
  Member* member = membership_.find(from);
  if (member == nullptr && message.has_hello()) member = &membership_.admit(from, now);
  if (member == nullptr) {
    observer_.on_warning(fmt::format("a message from rank {} is ignored: it has not said hello", from));
    return {};
  }
  if (member->active()) {
    member->last_heard = now;
    if (!act(from, *member, message, frame.floats)) return {};
  }
  return {training_.answer(from, *member)};
}

/// Returns whether the message is answered.
bool Coordinator::act(int from, Member& member, const proto::WorkerMessage& message, net::FloatView floats) {
  if (!message.has_evaluated()) training_.take_back_piece(from);
  if (message.signalled()) request_stop(StopReason::signal);
  if (message.leaving() && !member.leaving) on_leaving(member);
  take_given_up(from, message);  // before what may complete a checkpoint
  if (message.has_streams()) training_.keep_streams(from, message);
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
      lose(from, message.failure().message());
      return false;
    case proto::WorkerMessage::kFarewell:
      member.farewell = true;
      return false;
    default:
      observer_.on_warning(fmt::format("a message of an unknown kind from rank {} is ignored", from));
  }
  if (member.leaving && member.active() && member.streams.empty() && !stopping()) let_go(from, member);
  return true;
}

void Coordinator::on_hello(int from, Member& member, const proto::Hello& hello) {
  member.host = hello.host();
  member.pid = hello.pid();
  member.process = hello.process();
  turnover_.arrive(from);
  auto& rule = training_.rule();
  if (rule.engine.empty()) {
    rule.engine = hello.engine();
    rule.instruction_set = hello.instruction_set();
  }
  const std::string objection = objection_to(hello, rule, options_.deterministic);
  if (!objection.empty()) return lose(from, objection);
  if (membership_.busy().empty() && !stopping())
    membership_.deal(training_.streams());  // all others are lost
  else if (!options_.deterministic)
    membership_.even_out();
}

/// What a worker was asked to give up goes on elsewhere, from where it stands.
void Coordinator::take_given_up(int from, const proto::WorkerMessage& message) {
  for (const auto& stream : message.given_up()) {
    const auto state = store::from_message(stream);
    if (membership_.take_back(from, state)) training_.keep_stream(state);
  }
}

/// Asynchronous: its streams come with its next message. Deterministic: with the next update, where all
/// streams are known, they are dealt out without it.
void Coordinator::on_leaving(Member& member) {
  member.leaving = true;
  stop_without_workers();
  if (!options_.deterministic && !stopping()) membership_.even_out();
}

void Coordinator::let_go(int worker, Member& member) {
  member.farewell = true;
  turnover_.add(Departure{worker, member.host, member.pid, update(), training_.seconds()});
  observer_.on_warning(fmt::format("worker {} on {} (process {}) leaves, as a signal told it to", worker,
                                   member.host, member.pid));
  training_.leave(worker);
  training_.finish_collection();
}

void Coordinator::lose(int worker, const std::string& why) {
  const Member& member = *membership_.find(worker);
  turnover_.add(Loss{worker, member.host, member.pid, why, update(), training_.seconds()});
  observer_.on_warning(
      fmt::format("worker {} on {} (process {}) is lost: {}", worker, member.host, member.pid, why));
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
  training_.set_now(now);
  for (const int worker : membership_.silent(now, options_.deadline))
    lose(worker, fmt::format("silent for {:.0f} s", options_.deadline));
  const auto overdue = turnover_.take_overdue(now, options_.deadline);
  for (const int worker : overdue)
    observer_.on_warning(
        fmt::format("worker {}, started in a lost one's place, has not said hello for {:.0f} s", worker,
                    options_.deadline));
  if (!overdue.empty()) stop_without_workers();
  if (options_.seconds > 0.0 && seconds(now) >= options_.seconds) request_stop(StopReason::seconds);
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
  training_.set_now(now);
  const Member* member = membership_.find(worker);
  if (member != nullptr && member->active()) lose(worker, "its process has ended");
}

}  // namespace outerloop::coordinator
