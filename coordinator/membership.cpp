#include "coordinator/membership.h"

#include <algorithm>

#include "common/rule/error.h"

namespace outerloop::coordinator {

Membership::Membership(const std::vector<int>& workers, const std::vector<store::StreamState>& states,
                       double now) {
  OUTERLOOP_CHECK(!workers.empty(), "no workers");
  for (const int worker : workers) admit(worker, now);
  deal(states);
}

Member* Membership::find(int worker) {
  const auto found = members_.find(worker);
  return found == members_.end() ? nullptr : &found->second;
}

Member& Membership::admit(int worker, double now) {
  Member& member = members_[worker];
  member.last_heard = now;
  return member;
}

std::int64_t Membership::active() const {
  return std::count_if(members_.begin(), members_.end(),
                       [](const auto& entry) { return entry.second.active(); });
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
  std::vector<Member*> active;
  for (auto& [number, member] : members_) {
    member.streams.clear();
    member.to_assign.clear();
    member.to_restart.clear();
    member.theta_version = -1;
    member.evaluated_version = -1;
    if (member.active()) active.push_back(&member);
  }
  if (active.empty()) return;
  std::size_t next = 0;
  for (const auto& state : states) {
    Member& member = *active[next++ % active.size()];
    member.streams.push_back(state.stream);
    member.to_assign.push_back(state);
    task_of_[state.stream] = state.task;
  }
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
  for (const std::uint32_t stream : gone.streams) {
    store::StreamState state;
    state.stream = stream;
    state.task = ++task_of_[stream];
    orphans.push_back(state);
    Member* heir = nullptr;
    for (auto& [number, member] : members_)
      if (member.active() && (heir == nullptr || member.streams.size() < heir->streams.size()))
        heir = &member;
    if (heir == nullptr) continue;
    heir->streams.push_back(stream);
    heir->to_assign.push_back(std::move(state));
  }
  gone.streams.clear();
  return orphans;
}

std::vector<int> Membership::silent(double now, double deadline) const {
  std::vector<int> result;
  for (const auto& [number, member] : members_)
    if (member.active() && now - member.last_heard > deadline) result.push_back(number);
  return result;
}

}  // namespace outerloop::coordinator
