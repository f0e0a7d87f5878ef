#pragma once
// The coordinator as a state machine: frames in, answers out. It knows no MPI, no files and no clock; those
// are its caller's (see event_loop.h).
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/net/transport.h"
#include "common/store/files.h"
#include "common/store/stream_message.h"
#include "coordinator/evaluations.h"
#include "coordinator/gradient_batch.h"
#include "coordinator/learner.h"
#include "coordinator/membership.h"
#include "coordinator/profile.h"
#include "coordinator/stream_collection.h"
#include "outerloop/messages.pb.h"

namespace outerloop::coordinator {

struct CoordinatorOptions {
  /// An update takes exactly one gradient of every stream, computed at its θ and summed in stream order; a
  /// lost worker leads back to the last checkpoint. `batch` must equal `streams`.
  bool deterministic = false;
  std::int64_t updates = 0;  ///< 0: no limit
  double seconds = 0.0;      ///< 0: no limit
  std::int64_t batch = 8;    ///< gradients per update
  std::int64_t streams = 1;
  std::int64_t staleness_bound = 2;  ///< updates; deterministic: 0 whatever stands here
  double reject_norm = 1e4;
  double batch_norm_clip = 0.0;  ///< 0: not
  AdamOptions adam;
  double average_decay = 0.0;  ///< 0: no average of θ is kept
  StepBackOptions step_back;
  std::int64_t checkpoint_every = 0;  ///< updates; 0: only at the end
  std::int64_t max_failures = 16;     ///< per hour
  double deadline = 300.0;            ///< seconds of silence after which a worker counts as lost
  /// The caller replaces lost workers, by expect(): without any the run goes on as long as one is expected.
  bool replaces = false;
  EvaluationOptions evaluation;
  std::optional<BestRule> best;  ///< of what this run has evaluated before
  Profiler* profiler = nullptr;  ///< outlives the coordinator
};

/// 2·⌈workers / batch⌉: where gradients come in turn, one is ⌈workers / batch⌉ updates behind.
std::int64_t default_staleness_bound(std::int64_t workers, std::int64_t batch);

/// Why a run ended; see system documentation of result.json.
enum class StopReason { none, updates, seconds, signal, failures, disk, diverged };
const char* stop_reason_name(StopReason reason);

/// A worker that was lost.
struct Loss {
  int worker = 0;
  std::string host;
  std::int64_t pid = 0;
  std::string reason;
  std::int64_t update = 0;  ///< that the run was at
  double seconds = 0.0;     ///< of meta-training, over resumes
};

/// A worker that has left before the end, in good order.
struct Departure {
  int worker = 0;
  std::string host;
  std::int64_t pid = 0;
  std::int64_t update = 0;
  double seconds = 0.0;
};

/// What the coordinator tells its surroundings.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_update(const UpdateRecord& record) = 0;
  /// A checkpoint is complete in memory and wants to be kept.
  virtual void on_checkpoint(const store::Checkpoint& checkpoint) = 0;
  /// A lost worker has led back to the checkpoint of `update`: what was said of later updates is void.
  virtual void on_rollback(std::int64_t /*update*/) {}
  /// All tasks of an evaluation have come in, perhaps some updates after the one that it is of.
  virtual void on_evaluation(const EvaluationRecord& /*record*/) {}
  virtual void on_warning(const std::string& line) = 0;
};

struct Answer {
  int to = 0;
  net::Frame frame;
};

class Coordinator {
 public:
  /// Goes on from `start` (θ, Adam, history, counters, streams); `workers` are the ranks that will say hello.
  /// Throws InputError where a deterministic run is to go on from a checkpoint that lacks streams.
  Coordinator(CoordinatorOptions options, store::Checkpoint start, const std::vector<int>& workers,
              Observer& observer, double now);

  /// Acts on the bytes of one frame and answers it. Bytes that are no message are warned of and not answered.
  /// A stranger's hello takes it in.
  std::vector<Answer> handle(int from, const std::string& bytes, double now);

  /// To be called at least once a second: deadlines, the time limit.
  void tick(double now);

  /// The process of `worker` has ended, and what it sent before has been handled: unless it has said
  /// farewell, it is lost, without waiting for its deadline.
  void process_ended(int worker, double now);

  /// A worker of this number has been started in a lost one's place, and will say hello before its deadline.
  void expect(int worker, double now);
  /// None could be started.
  void no_replacement();

  /// Every worker is told to stop with its next answer; in deterministic mode only after each has said where
  /// its streams stood at the present θ, and at a limit of updates or seconds only after the last θ has been
  /// evaluated. Any other reason abandons what is being evaluated.
  void request_stop(StopReason reason);

  /// All workers have said farewell or are lost.
  bool finished() const { return stop_reason_ != StopReason::none && membership_.active() == 0; }

  /// To be sent after the final checkpoint was written: lets the workers that said farewell go.
  std::vector<Answer> release() const;

  StopReason stop_reason() const { return stop_reason_; }
  /// θ is final: gradients that still come are not applied.
  bool stopping() const { return stop_reason_ != StopReason::none || wanted_stop_ != StopReason::none; }
  std::int64_t update() const { return learner_.update(); }
  double seconds(double now) const { return start_seconds_ + (now - start_); }
  std::int64_t gradients() const { return learner_.count("gradients"); }  ///< applied, over resumes
  std::int64_t pending() const { return options_.deterministic ? order_.size() : batch_.size(); }
  std::int64_t workers_lost() const { return membership_.lost(); }
  const std::vector<Loss>& losses() const { return losses_; }  ///< since this start, in their order
  const std::vector<Departure>& departures() const { return departures_; }
  std::map<std::string, std::int64_t> refused() const { return learner_.refused(); }
  const std::map<int, Tally>& tallies() const { return learner_.tallies(); }
  const Membership& membership() const { return membership_; }
  /// Whether MPI_Finalize would come to an end on all ranks: nobody was lost, and nobody has joined.
  bool may_finalize() const {
    return membership_.lost() == 0 && departures_.empty() && membership_.members().size() == first_workers_;
  }
  const Evaluations& evaluations() const { return evaluations_; }
  const std::optional<BestRule>& best() const { return best_; }
  /// Tells the profiler, where there is one.
  void enter(Part part) const {
    if (options_.profiler != nullptr) options_.profiler->enter(part);
  }
  std::uint32_t segment() const { return segment_; }

  /// Everything a resumed run needs. In deterministic mode it is exact only when a checkpoint is complete, or
  /// once the run has stopped.
  store::Checkpoint snapshot() const;

 private:
  bool read(int from, const std::string& bytes, net::FrameView& frame, proto::WorkerMessage& message) const;
  void on_hello(int from, Member& member, const proto::Hello& hello, double now);
  void on_gradient(int from, const proto::WorkerMessage& message, net::FloatView floats, double now);
  Refusal refusal(const proto::WorkerMessage& message, std::size_t floats) const;
  Refusal accept(int from, const proto::Gradient& gradient, net::FloatView floats);
  void refuse(int from, const proto::Gradient& gradient, const std::string& cause);
  void apply_batch(double now);
  void keep_streams(int from, const proto::WorkerMessage& message);
  void take_given_up(int from, const proto::WorkerMessage& message);
  void begin_collection();
  void finish_collection();
  void begin_evaluation();
  void on_evaluated(int from, const proto::Evaluated& evaluated);
  void stop(StopReason reason);
  void settle_stop();
  void on_leaving(Member& member);
  void let_go(int worker, Member& member, double now);
  void lose(int worker, const std::string& why, double now);
  void roll_back(double now);
  void stop_without_workers();
  void deal_anew(const std::vector<store::StreamState>& states);
  Answer answer(int to, Member& member);
  void add_piece(const EvaluationPiece& piece, Member& member, proto::CoordinatorMessage& message,
                 std::vector<float>& floats) const;

  CoordinatorOptions options_;
  Observer& observer_;
  Learner learner_;
  GradientBatch batch_;
  StreamOrder order_;                                 ///< deterministic mode alone
  std::vector<std::pair<int, std::string>> skipped_;  ///< workers and causes; counted when their update is
  StreamCollection collection_;
  std::size_t first_workers_;  ///< how many there were at the start
  Membership membership_;
  Evaluations evaluations_;
  std::optional<BestRule> best_;
  std::optional<std::int64_t> evaluated_;  ///< newest update whose evaluation is complete
  double start_ = 0.0;                     ///< from here the clock counts; a rollback moves it
  double start_seconds_ = 0.0;
  double now_ = 0.0;
  std::int64_t start_gradients_ = 0;
  std::int64_t collected_at_ = 0;  ///< update that the newest collection began at
  std::uint32_t segment_ = 0;
  Learner::Mark mark_;  ///< the last checkpoint, for a rollback
  std::vector<Loss> losses_;
  std::vector<Departure> departures_;
  std::map<int, double> expected_;             ///< workers that have not said hello yet, since when
  StopReason wanted_stop_ = StopReason::none;  ///< waits for streams or evaluations
  StopReason stop_reason_ = StopReason::none;
};

}  // namespace outerloop::coordinator
