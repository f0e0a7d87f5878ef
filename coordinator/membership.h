#pragma once
// The workers of a run and the streams dealt out to them: joins, losses, and an even share for each.
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/store/files.h"

namespace outerloop::coordinator {

/// What the coordinator knows of one worker.
struct Member {
  std::string host;
  std::int64_t pid = 0;
  std::string process;      ///< where those on its host can watch it by
  double last_heard = 0.0;  ///< seconds on the coordinator's clock
  double got_on = 0.0;  ///< likewise: when it last did something that it owes, or an inner step towards it
  double usual_pause = 0.0;        ///< seconds between two of its messages, a running mean
  std::int64_t progress_step = 0;  ///< inner steps of the piece of work that it is at, as far as is known
  bool lost = false;
  bool farewell = false;                      ///< has left in good order
  bool leaving = false;                       ///< wants to, before the run ends; gets no streams any more
  std::int64_t theta_version = -1;            ///< newest θ it was sent
  std::int64_t evaluated_version = -1;        ///< θ for evaluation that it was sent last
  std::vector<std::uint32_t> streams;         ///< that it works on
  std::vector<store::StreamState> to_assign;  ///< goes out with the next answer
  std::vector<std::uint32_t> to_restart;      ///< goes out with it: streams that begin their next task
  std::vector<std::uint32_t> to_give_up;      ///< goes out with it: streams that another worker is to have
  std::vector<std::uint32_t> giving_up;       ///< asked for, but not there yet

  /// A message has come.
  void hear(double now) {
    constexpr double kShare = 0.1;  // of the newest in the running mean
    usual_pause += kShare * (now - last_heard - usual_pause);
    last_heard = now;
  }
  bool active() const { return !lost && !farewell; }
  bool staying() const { return active() && !leaving; }
  /// Streams that it is to keep.
  std::size_t kept() const { return streams.size() - to_give_up.size() - giving_up.size(); }
};

class Membership {
 public:
  /// `workers`, of which there is one at least; without streams before deal().
  Membership(const std::vector<int>& workers, double now);

  /// The member of that number; nullptr for a stranger.
  Member* find(int worker);
  /// Takes in a new worker, without streams for now.
  Member& admit(int worker, double now);
  const std::map<int, Member>& members() const { return members_; }

  /// Members neither lost nor gone; of those, the ones that do not want to leave.
  std::int64_t active() const;
  std::int64_t staying() const;
  std::int64_t lost() const;
  /// Active members that work on streams.
  std::set<int> busy() const;

  /// Takes all streams away and deals them out anew, in turn, to the members that stay; to all active ones
  /// where nobody does.
  void deal(const std::vector<store::StreamState>& states);

  /// Some member that stays has two streams more than another, or one that is leaving has some.
  bool uneven() const;
  /// Moves streams to members that stay and have fewer, until no two differ by more than one, and all streams
  /// of those that are leaving. A stream that its worker does not know of yet moves at once; any other is
  /// asked back, and moves when it comes.
  void even_out();
  /// A stream that `worker` was asked to give up has come: it goes to the member with the fewest.
  /// False for any other stream.
  bool take_back(int worker, const store::StreamState& state);

  /// Notes the task that a stream is in, so that another worker can begin the next one if this one is lost.
  void note_task(std::uint32_t stream, std::uint32_t task);

  /// Marks the worker as lost and deals its streams out to the others, each to begin its next task. Returns
  /// where those streams stand now.
  std::vector<store::StreamState> lose(int worker);

  /// Active members that have not got on with what they owe for `deadline` seconds.
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
