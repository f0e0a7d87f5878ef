#pragma once
// The coordinator as a state machine: frames in, answers out. It knows no MPI, no files and no clock; those
// are its caller's (see event_loop.h). This class is about workers: who takes part, who is lost, which stream
// is whose (membership.h). What they work for, θ and its updates, is in meta_training.h.
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
  /// Goes on from `start` (θ, Adam, history, counters, streams); `workers` are the ranks that will say hello.
  /// Throws InputError where a deterministic run is to go on from a checkpoint that lacks streams.
  Coordinator(CoordinatorOptions options, const store::Checkpoint& start, const std::vector<int>& workers,
              Observer& observer, double now);
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  /// Acts on the bytes of one frame and answers it. Bytes that are no message are warned of and not answered.
  /// A stranger's hello makes it a member.
  std::vector<Answer> handle(int from, const std::string& bytes, double now);

  /// A message of `bytes` bytes, more than any of this run can have, was left behind: its sender is lost, and
  /// is told so.
  std::vector<Answer> handle_oversize(int from, std::int64_t bytes, double now);

  /// To be called at least once a second: deadlines, the time limit.
  void tick(double now);

  /// The process of `worker` has ended, and what it sent before has been handled: unless it has said
  /// farewell, it is lost, without waiting for its deadline.
  void process_ended(int worker, double now);

  /// The silent connection of `worker` has ended; `timed_out`: by keep-alive, its process may live on. Unless
  /// it has said farewell, it is lost once what it sent before has had time to be handled: half a second in
  /// which tick() is called, whatever else the clock says.
  void connection_ended(int worker, bool timed_out, double now);

  /// A worker of this number has been started in a lost one's place, and will say hello before its deadline.
  void expect(int worker, double now) { turnover_.expect(worker, now); }
  /// None could be started.
  void no_replacement();

  /// Every worker gets `stop` with its next answer; in deterministic mode only after each has said where its
  /// streams stood at the present θ, and at a limit of updates or seconds only after the last θ has been
  /// evaluated. Any other reason abandons what is being evaluated.
  void request_stop(StopReason reason) { training_.request_stop(reason); }

  /// All workers have said farewell or are lost.
  bool finished() const { return stop_reason() != StopReason::none && membership_.active() == 0; }

  /// To be sent after the final checkpoint was written: lets the workers that said farewell go.
  std::vector<Answer> release() const { return release_all(membership_, turnover_, may_finalize()); }

  StopReason stop_reason() const { return training_.stop_reason(); }
  /// θ is final: gradients that still come are not applied.
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
  /// Whether MPI_Finalize would come to an end on all ranks: nobody was lost, and nobody has joined.
  bool may_finalize() const {
    return membership_.lost() == 0 && departures().empty() && membership_.members().size() == first_.size();
  }
  const Evaluations& evaluations() const { return training_.evaluations(); }
  const std::optional<BestRule>& best() const { return training_.evaluations().best(); }
  std::uint32_t segment() const { return training_.segment(); }
  /// Passes it on to the profiler, where there is one.
  void enter(Part part) const { coordinator::enter(options_.profiler, part); }

  /// Everything a resumed run needs. In deterministic mode it is exact only when a checkpoint is complete, or
  /// once the run has stopped.
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
  std::set<int> first_;         ///< workers of the start
  std::set<std::string> said_;  ///< about datasets and programs of newcomers
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
