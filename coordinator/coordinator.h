#pragma once
// The coordinator as a state machine: frames in, answers out. It uses neither MPI nor files nor a clock;
// those belong to the caller (event_loop.h). This class manages the workers: membership, losses, and the
// streams of each (membership.h). θ and its updates are in meta_training.h.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/net/transport.h"
#include "common/store/files.h"
#include "coordinator/answers.h"
#include "coordinator/complaints.h"
#include "coordinator/membership.h"
#include "coordinator/meta_training.h"
#include "coordinator/observer.h"
#include "coordinator/options.h"
#include "coordinator/profile.h"
#include "coordinator/stop_reason.h"
#include "coordinator/turnover.h"
#include "outerloop/messages.pb.h"

namespace outerloop::coordinator {

class Coordinator {
 public:
  /// Continues from `start` (θ, Adam, history, counters, streams); `workers` are the ranks that will say
  /// hello. Throws InputError where a deterministic run would continue from a checkpoint that lacks streams.
  Coordinator(CoordinatorOptions options, const store::Checkpoint& start, const std::vector<int>& workers,
              Observer& observer, double now);
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  /// Acts on the bytes of one frame and answers it. Malformed frames cause a warning and get no answer. A
  /// hello from an unknown rank makes it a member.
  std::vector<Answer> handle(int from, const std::string& bytes, double now);

  /// A message of `bytes` bytes, larger than any valid one in this run, was discarded. Its sender is lost and
  /// gets an answer that says so.
  std::vector<Answer> handle_oversize(int from, std::int64_t bytes, double now);

  /// Checks deadlines and the time limit. Call it at least once a second.
  void tick(double now);

  /// The process of `worker` has ended, and all its messages have been handled. Unless it has said farewell,
  /// it is lost immediately, before its deadline.
  void process_ended(int worker, double now);

  /// The silent connection of `worker` has ended; `timed_out`: by keep-alive, so its process may still run.
  /// Unless the worker has said farewell, it is lost after a grace period of half a second for its last
  /// messages. Only time in which tick() is called counts.
  void connection_ended(int worker, bool timed_out, double now);

  /// A replacement with this number has been started, and must say hello before its deadline.
  void expect(int worker, double now) { turnover_.expect(worker, now); }
  /// No replacement could be started.
  void no_replacement();

  /// Sends `stop` to every worker with its next answer. In deterministic mode, waits first for the states of
  /// all streams at the present θ. At a limit of updates or seconds, waits first for the evaluation of the
  /// last θ. Any other reason abandons running evaluations.
  void request_stop(StopReason reason) { training_.request_stop(reason); }

  /// All workers have said farewell or are lost.
  bool finished() const { return stop_reason() != StopReason::none && membership_.active() == 0; }

  /// Answers that release the workers that have said farewell. Send them after the final checkpoint is
  /// written.
  std::vector<Answer> release() const { return release_all(membership_, turnover_, may_finalize()); }

  StopReason stop_reason() const { return training_.stop_reason(); }
  /// θ is final: later gradients are not applied.
  bool stopping() const { return training_.stopping(); }
  std::int64_t update() const { return training_.update(); }
  double seconds(double now) const { return training_.seconds(now); }
  std::int64_t gradients() const { return training_.gradients(); }  ///< applied, over resumes
  std::int64_t pending() const { return training_.pending(); }      ///< gradients of the next update
  std::int64_t workers_lost() const { return membership_.lost(); }
  const std::vector<Loss>& losses() const { return turnover_.losses(); }
  const std::vector<Departure>& departures() const { return turnover_.departures(); }
  std::map<std::string, std::int64_t> refused() const { return training_.learner().refused(); }
  const std::map<int, Tally>& tallies() const { return training_.learner().tallies(); }
  const Membership& membership() const { return membership_; }
  /// Whether MPI_Finalize would return on all ranks: no worker was lost, left early or joined late.
  bool may_finalize() const {
    return membership_.lost() == 0 && departures().empty() && membership_.members().size() == first_.size();
  }
  const Evaluations& evaluations() const { return training_.evaluations(); }
  const std::optional<BestRule>& best() const { return training_.evaluations().best(); }
  std::uint32_t segment() const { return training_.segment(); }
  /// Forwards to the profiler, if there is one.
  void enter(Part part) const { coordinator::enter(options_.profiler, part); }

  /// Everything that a resumed run needs. In deterministic mode the result is exact only when a checkpoint is
  /// complete or the run has stopped.
  store::Checkpoint snapshot() const { return training_.snapshot(); }

 private:
  bool read(int from, const std::string& bytes, net::FrameView& frame, proto::WorkerMessage& message);
  void ignore(int from, const std::string& what);
  bool act(int from, Member& member, const proto::WorkerMessage& message, net::FloatView floats);
  void on_hello(int from, Member& member, const proto::Hello& hello);
  bool compare_newcomer(int worker, const proto::Hello& hello);
  void on_leaving(Member& member);
  std::string objection_to_streams(const Member& member, const proto::WorkerMessage& message) const;
  bool take_streams(int from, const Member& member, const proto::WorkerMessage& message);
  void take_given_up(int from, const proto::WorkerMessage& message);
  void let_go(int worker, Member& member);
  void lose(int worker, const std::string& why, NoticedBy by);
  void take_progress(int from, const proto::WorkerMessage& message, double now);
  void lose_disconnected(double now);
  std::string reason_of(NoticedBy by) const;
  void give_up(int expected, const std::string& why);
  void lose_overdue(double now);
  void stop_without_workers();

  CoordinatorOptions options_;
  Observer& observer_;
  std::set<int> first_;         ///< workers at the start
  std::set<std::string> said_;  ///< warnings about late joiners, already printed
  Membership membership_;
  Turnover turnover_;
  Complaints complaints_;
  MetaTraining training_;
  struct Disconnected {
    NoticedBy by{};
    double waited = 0.0;  ///< seconds
  };
  std::map<int, Disconnected> disconnected_;  ///< not lost yet
  double ticked_ = 0.0;
  double now_ = 0.0;
};

}  // namespace outerloop::coordinator
