#pragma once
// The worker as a state machine: the coordinator's answer in, the next message out. The caller supplies the
// clock and waits for answers (event_loop.h).
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/evaluation/evaluator.h"
#include "common/net/transport.h"
#include "outerloop/messages.pb.h"
#include "worker/prefetch.h"
#include "worker/stream.h"

namespace outerloop::worker {

/// No defaults here; they are in config.proto. The deadline must be above 0.
struct WorkerOptions {
  double gradient_norm_clip = 0.0;  ///< 0: no clipping
  std::string host;
  std::int64_t pid = 0;
  double deadline = 0.0;       ///< seconds without an answer after which the coordinator counts as lost
  bool deterministic = false;  ///< one truncation of every stream with each θ, then a wait for the next
  std::string process{};       ///< net::PeerProcess::here()
  bool leaves = false;         ///< a signal makes this worker leave, and does not end the run
  std::string revision{};      ///< of the program, with its version
  std::map<std::string, std::string> dataset_sha256{};  ///< by place and name
  /// The minibatches of the next truncation are prepared during the present one. The bits do not depend on
  /// it.
  bool prefetch = false;
};

/// Stream number in progress messages of a worker that computes for no stream.
inline constexpr std::uint32_t kNoStream = 0xFFFFFFFFu;

class Worker {
 public:
  /// References in `context` must outlive the worker. So must `evaluator`, which computes evaluations of θ;
  /// without it, requests to evaluate throw Error.
  Worker(StreamContext context, WorkerOptions options, const evaluation::Evaluator* evaluator = nullptr);

  /// The first message.
  net::Frame hello() const;

  /// Acts on an answer and returns the next message: a gradient (after computing a truncation), the
  /// evaluation of one task, a farewell, or `waiting` if there is nothing to compute. Nothing once released
  /// or refused. `clock` measures the reported durations. Throws InputError for malformed answers, Error for
  /// requests that cannot be met.
  std::optional<net::Frame> handle(const std::string& bytes, const net::Clock& clock);

  /// Frames to send before the one that handle() has returned: streams, if there are several.
  std::vector<net::Frame> take_ahead();

  /// Seconds to wait before sending the message that handle() returned. They grow while a worker waits for
  /// work, and are 0 for all other messages.
  double pause() const { return pause_; }
  bool may_finalize() const {
    return may_finalize_;
  }  ///< after `released`: whether MPI_Finalize would return
  bool refused() const { return refused_; }

  /// The message that this worker cannot continue.
  net::Frame failure(const std::string& message) const;

  /// A progress message, sent during handle(): inner steps so far in this piece of work. It gets no answer.
  net::Frame progress(std::int64_t step) const;
  /// The engine. Interrupted, thrown from within it, ends the piece of work and counts as a signal.
  rule::Engine& engine() { return context_.engine; }

  /// A signal requested the end of the run, or of this worker's part in it; the next message passes it on.
  void signal() { (options_.leaves ? leaving_ : signalled_) = true; }

  const WorkerOptions& options() const { return options_; }

  /// The number of truncations so far whose minibatches were prepared in advance.
  std::int64_t prefetched() const { return prefetch_.used(); }

 private:
  struct ActiveStream {
    Stream stream;
    std::int64_t theta_version = -1;  ///< of its last truncation
    store::StreamState before;        ///< before that truncation; deterministic mode only
  };
  void adopt(const proto::CoordinatorMessage& message, const std::vector<float>& theta);
  ActiveStream* next_stream();
  const ActiveStream& stream_after(const ActiveStream& work) const;
  Minibatches minibatches(const ActiveStream& work);
  net::Frame compute(const proto::CoordinatorMessage& message, const std::vector<float>& floats,
                     const net::Clock& clock);
  net::Frame next_gradient(ActiveStream& work);
  net::Frame evaluate(const proto::Piece& piece, const std::vector<float>& theta, const net::Clock& clock);
  net::Frame wait();
  net::Frame farewell();
  net::Frame frame(proto::WorkerMessage message, std::vector<float> floats) const;
  void restart(const std::set<std::uint32_t>& rejected);
  void give_up(const std::set<std::uint32_t>& asked);
  void report_streams(proto::WorkerMessage& message);
  void send_ahead(proto::WorkerMessage& message);

  StreamContext context_;
  WorkerOptions options_;
  Prefetch prefetch_;
  const evaluation::Evaluator* evaluator_;
  std::vector<ActiveStream> streams_;
  std::vector<store::StreamState> given_up_;  ///< sent with the next message
  std::vector<net::Frame> ahead_;
  std::size_t next_ = 0;  ///< asynchronous: a count; deterministic: all streams before it have used this θ
  std::vector<double> theta_;
  std::int64_t theta_version_ = -1;      ///< of theta_
  std::vector<double> evaluated_theta_;  ///< often an average, never used for training
  std::int64_t evaluated_version_ = -1;
  std::int64_t asked_version_ = -1;  ///< version of the coordinator's θ
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
