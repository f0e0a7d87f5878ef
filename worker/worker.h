#pragma once
// The worker as a state machine: the coordinator's answer in, the next message out. The clock and the wait
// for answers are its caller's (see event_loop.h).
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/evaluation/evaluator.h"
#include "common/net/transport.h"
#include "outerloop/messages.pb.h"
#include "worker/stream.h"

namespace outerloop::worker {

/// Without defaults: config.proto states them. The deadline must be above 0.
struct WorkerOptions {
  double gradient_norm_clip = 0.0;  ///< 0: not
  std::string host;
  std::int64_t pid = 0;
  double deadline = 0.0;       ///< seconds without an answer after which the coordinator counts as dead
  bool deterministic = false;  ///< one truncation of every stream with each θ, then wait for the next
  std::string process{};       ///< net::PeerProcess::here()
  bool leaves = false;         ///< by a signal it leaves alone, and does not end the run
  std::string revision{};      ///< of the program, with its version
  std::map<std::string, std::string> dataset_sha256{};  ///< by place and name
};

/// Of a worker's progress where it computes for no stream.
inline constexpr std::uint32_t kNoStream = 0xFFFFFFFFu;

class Worker {
 public:
  /// `evaluator`, which outlives the worker: what it evaluates θ with where it is asked to; none: it throws
  /// Error then.
  Worker(StreamContext context, WorkerOptions options, const evaluation::Evaluator* evaluator = nullptr);

  /// The first message.
  net::Frame hello() const;

  /// Acts on an answer and returns the next message: a gradient (this computes a truncation), the evaluation
  /// of one task, a farewell, or that it waits, where there is nothing to compute. Nothing once it was
  /// released or refused. `clock` measures what the message reports. Throws InputError for bytes that are no
  /// answer, Error for what cannot be done.
  std::optional<net::Frame> handle(const std::string& bytes, const net::Clock& clock);

  /// Frames that are to be sent before the one that handle() has returned: streams, where there are several.
  std::vector<net::Frame> take_ahead();

  /// Seconds to let pass before the message that handle() returned is sent: a worker that waits asks again
  /// and again, less and less often. 0 for all other messages.
  double pause() const { return pause_; }
  bool may_finalize() const { return may_finalize_; }  ///< after `released`: all ranks are there
  bool refused() const { return refused_; }

  /// Says that this worker cannot go on.
  net::Frame failure(const std::string& message) const;

  /// Says how far it is while handle() computes: inner steps so far, of this piece of work. Not answered.
  net::Frame progress(std::int64_t step) const;
  /// What it computes with. An Interrupted out of it ends the piece of work, and counts as a signal.
  rule::Engine& engine() { return context_.engine; }

  /// A signal asks for the end of the run, or of this worker's part in it: said with the next message.
  void signal() { (options_.leaves ? leaving_ : signalled_) = true; }

  const WorkerOptions& options() const { return options_; }

 private:
  struct ActiveStream {
    Stream stream;
    std::int64_t theta_version = -1;  ///< of its last truncation
    store::StreamState before;        ///< that truncation; deterministic mode alone
  };
  void adopt(const proto::CoordinatorMessage& message, const std::vector<float>& theta);
  ActiveStream* next_stream();
  net::Frame compute(const proto::CoordinatorMessage& message, const std::vector<float>& floats,
                     const net::Clock& clock);
  net::Frame next_gradient(ActiveStream& work);
  net::Frame evaluate(const proto::Piece& piece, const std::vector<float>& theta, const net::Clock& clock);
  net::Frame wait();
  net::Frame farewell();
  net::Frame frame(proto::WorkerMessage message, std::vector<float> floats) const;
  void give_up(std::uint32_t stream);
  void report_streams(proto::WorkerMessage& message);
  void send_ahead(proto::WorkerMessage& message);

  StreamContext context_;
  WorkerOptions options_;
  const evaluation::Evaluator* evaluator_;
  std::vector<ActiveStream> streams_;
  std::vector<store::StreamState> given_up_;  ///< to be sent with the next message
  std::vector<net::Frame> ahead_;
  std::size_t next_ = 0;
  std::vector<double> theta_;
  std::int64_t theta_version_ = -1;      ///< of theta_
  std::vector<double> evaluated_theta_;  ///< often an average: never trained with
  std::int64_t evaluated_version_ = -1;
  std::int64_t asked_version_ = -1;  ///< θ that the coordinator is at
  std::uint32_t segment_ = 0;
  std::uint32_t computing_ = kNoStream;  ///< the stream whose truncation is being computed
  double pause_ = 0.0;
  bool send_streams_ = false;
  bool signalled_ = false;
  bool leaving_ = false;
  bool may_finalize_ = false;
  bool refused_ = false;
};

}  // namespace outerloop::worker
