#include "coordinator/membership.h"

#include <algorithm>

#include "common/rule/error.h"

namespace outerloop::coordinator {

Membership::Membership(const std::vector<int>& workers, std::int64_t streams,
                       const std::vector<store::StreamState>& states, double now) {
  OUTERLOOP_CHECK(!workers.empty(), "no workers");
  std::map<std::uint32_t, store::StreamState> known;
  for (const auto& state : states) known[state.stream] = state;
  for (const int worker : workers) members_[worker].last_heard = now;
  for (std::int64_t i = 0; i < streams; ++i) {
    Member& member = members_[workers[static_cast<std::size_t>(i) % workers.size()]];
    const auto stream = static_cast<std::uint32_t>(i);
    store::StreamState state;
    state.stream = stream;
    const auto found = known.find(stream);
    if (found != known.end()) state = found->second;
    task_of_[stream] = state.task;
    member.streams.push_back(stream);
    member.to_assign.push_back(std::move(state));
  }
}

Member* Membership::find(int worker) {
  const auto found = members_.find(worker);
  return found == members_.end() ? nullptr : &found->second;
}

std::int64_t Membership::active() const {
  return std::count_if(members_.begin(), members_.end(),
                       [](const auto& entry) { return !entry.second.lost && !entry.second.farewell; });
}

std::int64_t Membership::lost() const {
  return std::count_if(members_.begin(), members_.end(), [](const auto& entry) { return entry.second.lost; });
}

void Membership::note_task(std::uint32_t stream, std::uint32_t task) {
  std::uint32_t& newest = task_of_[stream];
  newest = std::max(newest, task);
}

void Membership::lose(int worker) {
  Member& gone = members_.at(worker);
  if (gone.lost || gone.farewell) return;
  gone.lost = true;
  gone.to_assign.clear();
  for (const std::uint32_t stream : gone.streams) {
    Member* heir = nullptr;
    for (auto& [number, member] : members_) {
      if (member.lost || member.farewell) continue;
      if (heir == nullptr || member.streams.size() < heir->streams.size()) heir = &member;
    }
    if (heir == nullptr) break;
    store::StreamState state;
    state.stream = stream;
    state.task = ++task_of_[stream];
    heir->streams.push_back(stream);
    heir->to_assign.push_back(std::move(state));
  }
  gone.streams.clear();
}

std::vector<int> Membership::silent(double now, double deadline) const {
  std::vector<int> result;
  for (const auto& [number, member] : members_)
    if (!member.lost && !member.farewell && now - member.last_heard > deadline) result.push_back(number);
  return result;
}

}  // namespace outerloop::coordinator
