#pragma once
// The workers of a run and their streams: joins, losses and balancing.
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/store/files.h"

namespace outerloop::coordinator {

/// One worker, as known to the coordinator.
struct Member {
  std::string host;
  std::int64_t pid = 0;
  std::string process;             ///< net::PeerProcess::here() of the worker
  double last_heard = 0.0;         ///< seconds on the coordinator's clock
  double got_on = 0.0;             ///< same clock: last progress, from which the deadline counts
  double usual_pause = 0.0;        ///< seconds between two of its messages, a running mean
  std::int64_t progress_step = 0;  ///< last reported inner step of its piece of work
  bool lost = false;
  bool farewell = false;                ///< has left gracefully
  bool leaving = false;                 ///< wants to leave before the run ends; gets no more streams
  std::int64_t theta_version = -1;      ///< newest θ sent to it
  std::int64_t evaluated_version = -1;  ///< newest θ sent to it for evaluation
  // A run has thousands of streams, and each message of a worker asks for one of them.
  std::set<std::uint32_t> streams;           ///< assigned to it
  std::deque<store::StreamState> to_assign;  ///< sent with the next answer
  std::vector<std::uint32_t> to_restart;     ///< sent with it: streams that begin their next task
  std::set<std::uint32_t> to_give_up;        ///< sent with it: streams for another worker
  std::set<std::uint32_t> giving_up;         ///< requested, not received yet

  /// Records the arrival of a message.
  void hear(double now) {
    constexpr double kShare = 0.1;  // weight of the newest pause in the running mean
    usual_pause += kShare * (now - last_heard - usual_pause);
    last_heard = now;
  }
  bool active() const { return !lost && !farewell; }
  bool staying() const { return active() && !leaving; }
  bool gives_up(std::uint32_t stream) const {
    return to_give_up.count(stream) > 0 || giving_up.count(stream) > 0;
  }
  /// The number of streams it will keep.
  std::size_t kept() const { return streams.size() - to_give_up.size() - giving_up.size(); }
};

class Membership {
 public:
  /// `workers` must not be empty; no streams before deal().
  Membership(const std::vector<int>& workers, double now);

  /// The member with that number; nullptr if unknown.
  Member* find(int worker);
  /// Adds a new worker, without streams for now.
  Member& admit(int worker, double now);
  const std::map<int, Member>& members() const { return members_; }

  /// Members neither lost nor gone; of those, the ones that are not leaving.
  std::int64_t active() const;
  std::int64_t staying() const;
  std::int64_t lost() const;
  /// Active members with streams.
  std::set<int> busy() const;

  /// Deals all streams out anew, in turn, to the staying members; to all active ones if none is staying.
  void deal(const std::vector<store::StreamState>& states);

  /// Two staying members differ by two streams or more, or a leaving one still has streams.
  bool uneven() const;
  /// Balances the streams: staying members differ by at most one afterwards, and leaving ones have none. A
  /// stream not yet sent to its worker moves at once; any other is requested from its worker and moves on
  /// arrival.
  void even_out();
  /// Passes a requested stream that `worker` has returned on to the member with the fewest. False for any
  /// other stream.
  bool take_back(int worker, const store::StreamState& state);

  /// Records a stream's current task, so that another worker can begin the next one after a loss.
  void note_task(std::uint32_t stream, std::uint32_t task);

  /// Marks the worker as lost and deals its streams out to the others, each to begin its next task. Returns
  /// the new states of those streams.
  std::vector<store::StreamState> lose(int worker);

  /// Active members without progress for `deadline` seconds.
  std::vector<int> overdue(double now, double deadline) const;

 private:
  Member* poorest();
  std::vector<Member*> heirs();
  void move_one(Member& from, Member& to);
  void take_all_back(Member& leaving);

  std::map<int, Member> members_;
  std::map<std::uint32_t, std::uint32_t> task_of_;  ///< newest task of each stream
};

}  // namespace outerloop::coordinator
