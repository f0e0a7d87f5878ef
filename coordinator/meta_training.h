#pragma once
// The state of meta-training: turns gradients into updates of θ, with checkpoints, evaluations, rollbacks and
// the end of the run. Coordinator manages the workers.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/net/transport.h"
#include "common/store/files.h"
#include "coordinator/answers.h"
#include "coordinator/evaluations.h"
#include "coordinator/gradient_intake.h"
#include "coordinator/learner.h"
#include "coordinator/membership.h"
#include "coordinator/observer.h"
#include "coordinator/options.h"
#include "coordinator/stop_reason.h"
#include "coordinator/stream_collection.h"
#include "outerloop/messages.pb.h"

namespace outerloop::coordinator {

class MetaTraining {
 public:
  /// Continues from `start` and deals its streams out to `membership`, which must outlive this object. Throws
  /// InputError where a deterministic run would continue from a checkpoint that lacks streams.
  MetaTraining(const CoordinatorOptions& options, const store::Checkpoint& start, Membership& membership,
               Observer& observer, double now);

  /// Sets the time for all following calls.
  void set_now(double now) { now_ = now; }

  // Messages of active workers.

  /// Accepts or rejects the gradient in `message`; the last one of a batch makes an update.
  void take_gradient(int from, Member& member, const proto::WorkerMessage& message, net::FloatView floats);
  /// Stores the states of all streams of the worker, if they were requested; the last worker completes a
  /// checkpoint.
  void keep_streams(int from, const proto::WorkerMessage& message);
  /// The same for streams sent ahead of that message.
  void keep_streams_ahead(int from, const proto::WorkerMessage& message);
  /// Stores the state of a stream that moves to another worker.
  void keep_stream(const store::StreamState& state) { collection_.keep(-1, {state}); }
  /// Records the result of a piece, if it was assigned to the worker.
  void take_result(int from, const proto::Evaluated& evaluated);
  /// The worker has sent something other than its result: another worker gets its piece.
  void take_back_piece(int from) { evaluations_.take_back(from); }
  /// The worker's next command; updates `member` accordingly.
  Answer answer(int to, Member& member);

  // Departures of workers. Call finish_collection() afterwards.

  /// The worker's streams begin their next task elsewhere; in deterministic mode, all streams return to the
  /// last checkpoint.
  void lose(int worker);
  /// The worker has left and has no streams.
  void leave(int worker) { collection_.forget(worker); }
  /// Completes the checkpoint being collected, if no worker is awaited any more.
  void finish_collection();

  /// See Coordinator::request_stop.
  void request_stop(StopReason reason);
  StopReason stop_reason() const { return stop_reason_; }
  /// θ is final: later gradients are not applied.
  bool stopping() const { return stop_reason_ != StopReason::none || wanted_stop_ != StopReason::none; }

  double seconds() const { return seconds(now_); }
  double seconds(double now) const { return start_seconds_ + (now - start_); }  ///< over resumes
  std::int64_t update() const { return learner_.update(); }
  std::uint32_t segment() const { return segment_; }
  std::int64_t gradients() const { return learner_.count("gradients"); }  ///< applied, over resumes
  std::int64_t pending() const { return intake_.size(); }                 ///< gradients of the next update
  /// The contents of rule.h5 at this moment. The first hello fills in its engine.
  store::RuleFile& rule() { return learner_.rule(); }
  const Learner& learner() const { return learner_; }
  const Evaluations& evaluations() const { return evaluations_; }
  /// The last known state of every stream.
  std::vector<store::StreamState> streams() const { return collection_.states(); }
  store::Checkpoint snapshot() const;

 private:
  bool may_keep_streams(int from, const proto::WorkerMessage& message) const;
  void apply_batch();
  void warn_of_conflict();
  void begin_collection();
  void begin_evaluation() { evaluations_.begin(learner_.rule(), seconds()); }
  void set_mark();
  void roll_back();
  void deal_anew(const std::vector<store::StreamState>& states);
  void stop(StopReason reason);
  void settle_stop();

  CoordinatorOptions options_;
  Membership& membership_;
  Observer& observer_;
  Learner learner_;
  GradientIntake intake_;
  StreamCollection collection_;
  Evaluations evaluations_;
  double start_ = 0.0;  ///< start of the clock; a rollback moves it
  double start_seconds_ = 0.0;
  double now_ = 0.0;
  std::int64_t start_gradients_ = 0;
  std::int64_t collected_at_ = 0;  ///< update of the newest collection
  std::uint32_t segment_ = 0;
  Learner::Mark mark_;                         ///< the last checkpoint, for a rollback
  StopReason wanted_stop_ = StopReason::none;  ///< waits for streams or evaluations
  StopReason stop_reason_ = StopReason::none;
};

}  // namespace outerloop::coordinator
