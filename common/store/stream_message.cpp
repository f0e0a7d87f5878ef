#include "common/store/stream_message.h"

namespace outerloop::store {

StreamState from_message(const proto::StreamState& message) {
  StreamState state;
  state.stream = message.stream();
  state.task = message.task();
  state.step = message.step();
  state.truncation = message.truncation();
  state.begun_at = message.begun_at();
  state.units.assign(message.units().begin(), message.units().end());
  state.dataset = message.dataset();
  state.permutation_seed = (std::uint64_t{message.stream()} << 32) | message.task();
  state.phi.assign(message.phi().begin(), message.phi().end());
  for (const auto& pair : message.pairs())
    state.pairs.push_back({{pair.noise().begin(), pair.noise().end()},
                           {pair.phi_plus().begin(), pair.phi_plus().end()},
                           {pair.phi_minus().begin(), pair.phi_minus().end()}});
  return state;
}

proto::StreamState to_message(const StreamState& state) {
  proto::StreamState message;
  message.set_stream(state.stream);
  message.set_task(state.task);
  message.set_step(state.step);
  message.set_truncation(state.truncation);
  message.set_begun_at(state.begun_at);
  message.mutable_units()->Add(state.units.begin(), state.units.end());
  message.set_dataset(state.dataset);
  message.mutable_phi()->Add(state.phi.begin(), state.phi.end());
  for (const auto& pair : state.pairs) {
    auto& to = *message.add_pairs();
    to.mutable_noise()->Add(pair.noise.begin(), pair.noise.end());
    to.mutable_phi_plus()->Add(pair.phi_plus.begin(), pair.phi_plus.end());
    to.mutable_phi_minus()->Add(pair.phi_minus.begin(), pair.phi_minus.end());
  }
  return message;
}

}  // namespace outerloop::store
