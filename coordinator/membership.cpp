#include "coordinator/membership.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>

#include "common/base/error.h"

namespace outerloop::coordinator {
namespace {

/// The kept stream with the largest number. The search begins below the streams given up before, so that
/// giving up many takes linear time.
std::optional<std::uint32_t> last_kept(const Member& member) {
  const auto& streams = member.streams;
  const auto leaving = [&](std::uint32_t stream) { return member.gives_up(stream); };
  const auto first =
      member.to_give_up.empty() ? streams.end() : streams.lower_bound(*member.to_give_up.begin());
  auto last = std::find_if_not(std::make_reverse_iterator(first), streams.rend(), leaving);
  if (last == streams.rend()) last = std::find_if_not(streams.rbegin(), streams.rend(), leaving);
  return last == streams.rend() ? std::nullopt : std::optional(*last);
}

/// The newest task of any lane: a lane whose task failed has begun others within its round.
std::uint32_t newest_task(const store::StreamState& state) {
  std::uint32_t newest = state.task;
  for (const auto& lane : state.lanes) newest = std::max(newest, lane.task);
  return newest;
}

}  // namespace

Membership::Membership(const std::vector<int>& workers, double now) {
  OUTERLOOP_CHECK(!workers.empty(), "no workers");
  for (const int worker : workers) admit(worker, now);
}

Member* Membership::find(int worker) {
  const auto found = members_.find(worker);
  return found == members_.end() ? nullptr : &found->second;
}

Member& Membership::admit(int worker, double now) {
  Member& member = members_[worker];
  member.last_heard = member.got_on = now;
  return member;
}

std::int64_t Membership::active() const {
  return std::count_if(members_.begin(), members_.end(),
                       [](const auto& entry) { return entry.second.active(); });
}

std::int64_t Membership::staying() const {
  return std::count_if(members_.begin(), members_.end(),
                       [](const auto& entry) { return entry.second.staying(); });
}

std::int64_t Membership::lost() const {
  return std::count_if(members_.begin(), members_.end(), [](const auto& entry) { return entry.second.lost; });
}

std::set<int> Membership::busy() const {
  std::set<int> result;
  for (const auto& [number, member] : members_)
    if (member.active() && !member.streams.empty()) result.insert(number);
  return result;
}

void Membership::deal(const std::vector<store::StreamState>& states) {
  for (auto& [number, member] : members_) {
    member.streams.clear();
    member.to_assign.clear();
    member.to_restart.clear();
    member.to_give_up.clear();
    member.giving_up.clear();
    member.theta_version = -1;
    member.evaluated_version = -1;
  }
  const auto active = heirs();
  if (active.empty()) return;
  std::size_t next = 0;
  for (const auto& state : states) {
    Member& member = *active[next++ % active.size()];
    member.streams.insert(state.stream);
    member.to_assign.push_back(state);
    task_of_[state.stream] = newest_task(state);
  }
}

/// The members that may receive streams: the staying ones. If there are none, the run is about to end, and
/// all active members keep their streams until then.
std::vector<Member*> Membership::heirs() {
  const bool somebody_stays = staying() > 0;
  std::vector<Member*> result;
  for (auto& [number, member] : members_)
    if (somebody_stays ? member.staying() : member.active()) result.push_back(&member);
  return result;
}

/// The member among them with the fewest streams.
Member* Membership::poorest() {
  const auto all = heirs();
  const auto least = std::min_element(all.begin(), all.end(),
                                      [](const auto* a, const auto* b) { return a->kept() < b->kept(); });
  return least == all.end() ? nullptr : *least;
}

bool Membership::uneven() const {
  std::size_t fewest = std::numeric_limits<std::size_t>::max(), most = 0;
  for (const auto& [number, member] : members_) {
    if (!member.active()) continue;
    if (member.leaving) {
      if (!member.streams.empty()) return true;
      continue;
    }
    fewest = std::min(fewest, member.streams.size());
    most = std::max(most, member.streams.size());
  }
  return most >= 2 && fewest <= most - 2;
}

void Membership::move_one(Member& from, Member& to) {
  if (!from.to_assign.empty()) {
    auto state = std::move(from.to_assign.back());
    from.to_assign.pop_back();
    from.streams.erase(state.stream);
    to.streams.insert(state.stream);
    to.to_assign.push_back(std::move(state));
    return;
  }
  const auto last = last_kept(from);
  OUTERLOOP_CHECK(last, "a member that keeps no stream is to give one up");
  from.to_give_up.insert(*last);
}

void Membership::take_all_back(Member& leaving) {
  while (leaving.kept() > 0) move_one(leaving, *poorest());
}

void Membership::even_out() {
  for (auto& [number, member] : members_)
    if (member.leaving && member.active() && staying() > 0) take_all_back(member);
  std::vector<std::pair<Member*, std::size_t>> will_have;
  std::size_t moving = 0;
  for (auto& [number, member] : members_) {
    if (!member.active()) continue;
    moving += member.streams.size() - member.kept();
    if (member.leaving) continue;
    will_have.emplace_back(&member, member.kept());
  }
  if (will_have.empty()) return;
  const auto fewer = [](const auto& a, const auto& b) { return a.second < b.second; };
  // Streams in transit go to the members with the fewest.
  for (; moving > 0; --moving) ++std::min_element(will_have.begin(), will_have.end(), fewer)->second;
  for (;;) {
    const auto poor = std::min_element(will_have.begin(), will_have.end(), fewer);
    const auto rich = std::max_element(will_have.begin(), will_have.end(), fewer);
    if (rich->second < poor->second + 2) return;
    move_one(*rich->first, *poor->first);
    --rich->second;
    ++poor->second;
  }
}

bool Membership::take_back(int worker, const store::StreamState& state) {
  Member& giver = members_.at(worker);
  if (giver.giving_up.erase(state.stream) == 0) return false;
  giver.streams.erase(state.stream);
  note_task(state.stream, newest_task(state));
  Member* heir = poorest();
  heir->streams.insert(state.stream);
  heir->to_assign.push_back(state);
  return true;
}

void Membership::note_task(std::uint32_t stream, std::uint32_t task) {
  std::uint32_t& newest = task_of_[stream];
  newest = std::max(newest, task);
}

std::vector<store::StreamState> Membership::lose(int worker) {
  Member& gone = members_.at(worker);
  std::vector<store::StreamState> orphans;
  if (!gone.active()) return orphans;
  gone.lost = true;
  gone.to_assign.clear();
  gone.to_give_up.clear();
  gone.giving_up.clear();
  for (const std::uint32_t stream : gone.streams) {
    store::StreamState state;
    state.stream = stream;
    state.task = ++task_of_[stream];
    orphans.push_back(state);
    Member* heir = poorest();
    if (heir == nullptr) continue;
    heir->streams.insert(stream);
    heir->to_assign.push_back(std::move(state));
  }
  gone.streams.clear();
  return orphans;
}

std::vector<int> Membership::overdue(double now, double deadline) const {
  std::vector<int> result;
  for (const auto& [number, member] : members_)
    if (member.active() && now - member.got_on > deadline) result.push_back(number);
  return result;
}

}  // namespace outerloop::coordinator
