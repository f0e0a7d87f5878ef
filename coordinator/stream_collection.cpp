#include "coordinator/stream_collection.h"

namespace outerloop::coordinator {

StreamCollection::StreamCollection(std::int64_t streams, const std::vector<store::StreamState>& states) {
  for (std::int64_t i = 0; i < streams; ++i) {
    const auto number = static_cast<std::uint32_t>(i);
    states_[number].stream = number;
  }
  keep(-1, states);
}

void StreamCollection::begin(std::set<int> workers) {
  awaited_ = std::move(workers);
  under_way_ = true;
}

void StreamCollection::cancel() {
  awaited_.clear();
  under_way_ = false;
}

void StreamCollection::keep(int worker, const std::vector<store::StreamState>& states) {
  // Unknown numbers from a message must not make the map grow.
  for (const auto& state : states)
    if (const auto found = states_.find(state.stream); found != states_.end()) found->second = state;
  forget(worker);
}

std::vector<store::StreamState> StreamCollection::states() const {
  std::vector<store::StreamState> result;
  for (const auto& [number, state] : states_) result.push_back(state);
  return result;
}

}  // namespace outerloop::coordinator
