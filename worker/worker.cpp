#include "worker/worker.h"

#include <algorithm>
#include <utility>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/store/stream_message.h"
#include "worker/gradient_message.h"
#include "worker/pulse.h"

namespace outerloop::worker {
namespace {

constexpr double kShortestPause = 0.0005;  // seconds
constexpr double kLongestPause = 0.02;     // while other workers finish the same update
constexpr double kLongestPauseIdle = 0.2;  // without streams

}  // namespace

net::Frame Worker::frame(proto::WorkerMessage message, std::vector<float> floats) const {
  message.set_signalled(signalled_);
  message.set_leaving(leaving_);
  message.set_segment(segment_);
  return {message.SerializeAsString(), std::move(floats)};
}

Worker::Worker(StreamContext context, WorkerOptions options, const evaluation::Evaluator* evaluator)
    : context_(context),
      options_(std::move(options)),
      prefetch_(context.tasks, context.threads),
      evaluator_(evaluator) {
  OUTERLOOP_CHECK(options_.deadline > 0.0, "a deadline of " + std::to_string(options_.deadline));
}

net::Frame Worker::hello() const {
  proto::WorkerMessage message;
  auto& hello = *message.mutable_hello();
  hello.set_protocol(store::kProtocol);
  hello.set_host(options_.host);
  hello.set_pid(options_.pid);
  hello.set_process(options_.process);
  hello.set_engine(context_.engine.description());
  hello.set_instruction_set(context_.engine.instruction_set());
  hello.set_revision(options_.revision);
  hello.mutable_datasets()->insert(options_.dataset_sha256.begin(), options_.dataset_sha256.end());
  return frame(std::move(message), {});
}

std::optional<net::Frame> Worker::handle(const std::string& bytes, const net::Clock& clock) {
  const net::Frame answer = net::decode(bytes);
  proto::CoordinatorMessage message;
  if (!message.ParseFromString(answer.header)) throw InputError("the coordinator's answer cannot be read");
  switch (message.command()) {
    case proto::CoordinatorMessage::stop:
      return farewell();
    case proto::CoordinatorMessage::released:
      may_finalize_ = message.finalize();
      return std::nullopt;
    case proto::CoordinatorMessage::refused:
      refused_ = true;
      return std::nullopt;
    default:
      break;
  }
  const bool evaluates = message.command() == proto::CoordinatorMessage::evaluate;
  adopt(message, evaluates ? std::vector<float>() : answer.floats);
  try {
    return compute(message, answer.floats, clock);
  } catch (const Interrupted&) {  // streams are unchanged
    signal();
    return wait();
  }
}

net::Frame Worker::compute(const proto::CoordinatorMessage& message, const std::vector<float>& floats,
                           const net::Clock& clock) {
  computing_ = kNoStream;
  if (message.command() == proto::CoordinatorMessage::evaluate)
    return evaluate(message.piece(), floats, clock);
  if (message.command() == proto::CoordinatorMessage::pause) return wait();
  ActiveStream* work = next_stream();
  return work == nullptr ? wait() : next_gradient(*work);
}

void Worker::adopt(const proto::CoordinatorMessage& message, const std::vector<float>& theta) {
  if (options_.deterministic &&
      (message.segment() != segment_ || !theta.empty() || message.give_up_size() > 0))
    next_ = 0;
  if (message.segment() != segment_) {
    streams_.clear();
    given_up_.clear();
    send_streams_ = false;
  }
  segment_ = message.segment();
  asked_version_ = message.theta_version();
  if (!theta.empty()) {
    OUTERLOOP_CHECK_EQ(static_cast<std::int64_t>(theta.size()), context_.engine.theta_layout().size());
    theta_.assign(theta.begin(), theta.end());
    theta_version_ = message.theta_version();
  }
  restart({message.restart().begin(), message.restart().end()});
  give_up({message.give_up().begin(), message.give_up().end()});
  for (const auto& state : message.assign())
    streams_.push_back({Stream(context_, store::from_message(state)), -1, {}});
  send_streams_ = send_streams_ || message.send_streams();
}

void Worker::restart(const std::set<std::uint32_t>& rejected) {
  if (rejected.empty()) return;
  for (auto& work : streams_)
    // If the rejected gradient was its task's last, the next task has already begun.
    if (rejected.count(work.stream.state().stream) > 0 && work.stream.state().task == work.before.task)
      work.stream.begin_next_task();
}

void Worker::give_up(const std::set<std::uint32_t>& asked) {
  if (asked.empty()) return;
  std::vector<ActiveStream> others;
  for (auto& work : streams_)
    if (asked.count(work.stream.state().stream) > 0)
      given_up_.push_back(work.stream.state());
    else
      others.push_back(std::move(work));
  streams_.swap(others);
}

/// The next stream in turn; nullptr if none is left to compute with this θ.
Worker::ActiveStream* Worker::next_stream() {
  if (streams_.empty() || theta_.empty()) return nullptr;
  if (!options_.deterministic) return &streams_[next_++ % streams_.size()];
  for (; next_ < streams_.size(); ++next_)
    if (streams_[next_].theta_version != theta_version_) return &streams_[next_];
  return nullptr;
}

/// The stream whose turn probably comes after that of `work`, which next_stream() has just returned: the
/// coordinator may still change the streams.
const Worker::ActiveStream& Worker::stream_after(const ActiveStream& work) const {
  if (!options_.deterministic) return streams_[next_ % streams_.size()];
  const auto is_left = [&](const ActiveStream& other) {
    return &other != &work && other.theta_version != theta_version_;
  };
  const auto rest = streams_.begin() + static_cast<std::ptrdiff_t>(next_);
  const auto next = std::find_if(rest, streams_.end(), is_left);
  return next == streams_.end() ? streams_.front() : *next;  // the first one's turn is with the next θ
}

/// Those of the stream's next truncation. Then the preparation of the next ones begins.
Minibatches Worker::minibatches(const ActiveStream& work) {
  const MinibatchRequest request = work.stream.next_minibatches(theta_version_);
  Minibatches data = prefetch_.take(request);
  if (!options_.prefetch) return data;
  const ActiveStream& after = stream_after(work);
  if (&after != &work)
    prefetch_.begin(after.stream.next_minibatches(theta_version_));
  else if (auto own = work.stream.minibatches_after(request, theta_version_))
    prefetch_.begin(*std::move(own));
  return data;
}

net::Frame Worker::wait() {
  const double longest = streams_.empty() ? kLongestPauseIdle : kLongestPause;
  pause_ = std::clamp(2.0 * pause_, kShortestPause, longest);
  proto::WorkerMessage message;
  message.set_waiting(true);
  report_streams(message);
  return frame(std::move(message), {});
}

net::Frame Worker::next_gradient(ActiveStream& work) {
  pause_ = 0.0;
  Stream& stream = work.stream;
  if (options_.deterministic) work.before = stream.state();
  computing_ = stream.state().stream;
  const StreamStep step = stream.advance(theta_, theta_version_, minibatches(work));
  work.theta_version = theta_version_;
  auto gradient = gradient_message(step, stream.state().stream, theta_version_, options_.gradient_norm_clip);
  proto::WorkerMessage message;
  *message.mutable_gradient() = std::move(gradient.header);
  report_streams(message);
  return frame(std::move(message), std::move(gradient.floats));
}

/// Changes neither the training θ nor streams, so truncations are unaffected.
net::Frame Worker::evaluate(const proto::Piece& piece, const std::vector<float>& theta,
                            const net::Clock& clock) {
  pause_ = 0.0;
  if (!theta.empty()) {
    evaluated_theta_.assign(theta.begin(), theta.end());
    evaluated_version_ = piece.update();
  }
  if (evaluator_ == nullptr) throw Error("this worker was not set up to evaluate");
  OUTERLOOP_CHECK_EQ(piece.update(), evaluated_version_);
  const double start = clock.now();
  const evaluation::Evaluation evaluation =
      evaluator_->evaluate(evaluated_theta_, piece.dataset(), piece.task());
  proto::WorkerMessage message;
  auto& evaluated = *message.mutable_evaluated();
  *evaluated.mutable_piece() = piece;
  evaluated.set_outcome(to_message(evaluation.outcome));
  evaluated.set_meta_objective(evaluation.meta_objective);
  evaluated.set_accuracy(evaluation.accuracy);
  evaluated.set_seconds(clock.now() - start);
  report_streams(message);
  return frame(std::move(message), {});
}

net::Frame Worker::failure(const std::string& text) const {
  proto::WorkerMessage message;
  message.mutable_failure()->set_message(base::printable(text));
  return frame(std::move(message), {});
}

net::Frame Worker::progress(std::int64_t step) const {
  proto::WorkerMessage message;
  message.mutable_progress()->set_stream(computing_);
  message.mutable_progress()->set_step(step);
  return frame(std::move(message), {});
}

net::Frame Worker::farewell() {
  pause_ = 0.0;
  proto::WorkerMessage message;
  message.set_farewell(true);
  send_streams_ = true;
  report_streams(message);
  return frame(std::move(message), {});
}

/// Reports the streams given up and, if requested, all streams. In deterministic mode these are the states
/// when the coordinator's θ was new, so whoever continues repeats truncations since then. Each stream but the
/// last travels ahead in its own frame, because a worker may hold all of them.
void Worker::report_streams(proto::WorkerMessage& message) {
  for (const auto& state : given_up_) {
    send_ahead(message);
    *message.add_given_up() = store::to_message(state);
  }
  given_up_.clear();
  if (!send_streams_) return;
  send_streams_ = false;
  for (const auto& work : streams_) {
    send_ahead(message);
    const bool ahead = options_.deterministic && work.theta_version == asked_version_;
    *message.add_streams() = store::to_message(ahead ? work.before : work.stream.state());
  }
  message.set_has_streams(true);
}

/// Moves the streams in `message`, if any, to a frame of their own.
void Worker::send_ahead(proto::WorkerMessage& message) {
  if (message.streams_size() + message.given_up_size() == 0) return;
  proto::WorkerMessage ahead;
  ahead.mutable_streams()->Swap(message.mutable_streams());
  ahead.mutable_given_up()->Swap(message.mutable_given_up());
  ahead_.push_back(frame(std::move(ahead), {}));
}

std::vector<net::Frame> Worker::take_ahead() { return std::exchange(ahead_, {}); }

}  // namespace outerloop::worker
