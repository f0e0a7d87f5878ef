#pragma once
// The state of meta-training: gradients become updates of θ, with checkpoints, evaluations, rollbacks and the
// end of the run. The workers that it needs for that, and whether they are there, is the coordinator's side.
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
  /// Goes on from `start` and deals its streams out to `membership`, which outlives this object. Throws
  /// InputError where a deterministic run is to go on from a checkpoint that lacks streams.
  MetaTraining(const CoordinatorOptions& options, const store::Checkpoint& start, Membership& membership,
               Observer& observer, double now);

  /// The time of all that follows.
  void set_now(double now) { now_ = now; }

  // What an active worker has sent.

  /// Takes or refuses the gradient in `message`; the last of a batch makes an update.
  void take_gradient(int from, Member& member, const proto::WorkerMessage& message, net::FloatView floats);
  /// Notes where all streams of the worker stand, if it was asked; the last worker asked completes a
  /// checkpoint.
  void keep_streams(int from, const proto::WorkerMessage& message);
  /// Likewise for streams that travel ahead of the message that answers.
  void keep_streams_ahead(int from, const proto::WorkerMessage& message);
  /// Notes where a stream stands that changes hands.
  void keep_stream(const store::StreamState& state) { collection_.keep(-1, {state}); }
  /// Counts the result of a piece, if the worker was given that one.
  void take_result(int from, const proto::Evaluated& evaluated);
  /// The worker has sent something else than the result of its piece: another worker gets the piece.
  void take_back_piece(int from) { evaluations_.take_back(from); }
  /// What the worker is to do next; `member` is updated with what it knows then.
  Answer answer(int to, Member& member);

  // What becomes of workers. finish_collection() follows.

  /// Its streams begin their next task elsewhere; in deterministic mode all go back to the last checkpoint.
  void lose(int worker);
  /// It has left without streams.
  void leave(int worker) { collection_.forget(worker); }
  /// Completes the checkpoint that is being collected, where no worker is waited for any more.
  void finish_collection();

  /// See Coordinator::request_stop.
  void request_stop(StopReason reason);
  StopReason stop_reason() const { return stop_reason_; }
  /// θ is final: gradients that still come are not applied.
  bool stopping() const { return stop_reason_ != StopReason::none || wanted_stop_ != StopReason::none; }

  double seconds() const { return seconds(now_); }
  double seconds(double now) const { return start_seconds_ + (now - start_); }  ///< over resumes
  std::int64_t update() const { return learner_.update(); }
  std::uint32_t segment() const { return segment_; }
  std::int64_t gradients() const { return learner_.count("gradients"); }  ///< applied, over resumes
  std::int64_t pending() const { return intake_.size(); }                 ///< gradients of the next update
  /// The rule's file as it would be written now. Its engine is filled in by the first hello.
  store::RuleFile& rule() { return learner_.rule(); }
  const Learner& learner() const { return learner_; }
  const Evaluations& evaluations() const { return evaluations_; }
  /// Where every stream stands, as far as is known here.
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
  double start_ = 0.0;  ///< from here the clock counts; a rollback moves it
  double start_seconds_ = 0.0;
  double now_ = 0.0;
  std::int64_t start_gradients_ = 0;
  std::int64_t collected_at_ = 0;  ///< update that the newest collection began at
  std::uint32_t segment_ = 0;
  Learner::Mark mark_;                         ///< the last checkpoint, for a rollback
  StopReason wanted_stop_ = StopReason::none;  ///< waits for streams or evaluations
  StopReason stop_reason_ = StopReason::none;
};

}  // namespace outerloop::coordinator
