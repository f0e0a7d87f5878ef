#include "common/store/stream_message.h"

namespace outerloop::store {
namespace {

LaneState from_message(const proto::LaneState& message) {
  LaneState lane;
  lane.task = message.task();
  lane.step = message.step();
  lane.truncation = message.truncation();
  lane.units.assign(message.units().begin(), message.units().end());
  lane.dataset = message.dataset();
  lane.phi.assign(message.phi().begin(), message.phi().end());
  for (const auto& pair : message.pairs())
    lane.pairs.push_back({{pair.noise().begin(), pair.noise().end()},
                          {pair.phi_plus().begin(), pair.phi_plus().end()},
                          {pair.phi_minus().begin(), pair.phi_minus().end()}});
  return lane;
}

void to_message(const LaneState& lane, proto::LaneState& message) {
  message.set_task(lane.task);
  message.set_step(lane.step);
  message.set_truncation(lane.truncation);
  message.mutable_units()->Add(lane.units.begin(), lane.units.end());
  message.set_dataset(lane.dataset);
  message.mutable_phi()->Add(lane.phi.begin(), lane.phi.end());
  for (const auto& pair : lane.pairs) {
    auto& to = *message.add_pairs();
    to.mutable_noise()->Add(pair.noise.begin(), pair.noise.end());
    to.mutable_phi_plus()->Add(pair.phi_plus.begin(), pair.phi_plus.end());
    to.mutable_phi_minus()->Add(pair.phi_minus.begin(), pair.phi_minus.end());
  }
}

}  // namespace

std::uint32_t lane_stream(std::uint32_t stream, std::size_t lanes, std::size_t lane) {
  return stream * static_cast<std::uint32_t>(lanes) + static_cast<std::uint32_t>(lane);
}

std::uint64_t permutation_seed(std::uint32_t number, std::uint32_t task) {
  return (std::uint64_t{number} << 32) | task;
}

StreamState from_message(const proto::StreamState& message) {
  StreamState state;
  state.stream = message.stream();
  state.task = message.task();
  state.step = message.step();
  state.truncation = message.truncation();
  state.begun_at = message.begun_at();
  const auto lanes = static_cast<std::size_t>(message.lanes_size());
  for (std::size_t l = 0; l < lanes; ++l) {
    state.lanes.push_back(from_message(message.lanes(static_cast<int>(l))));
    state.lanes.back().permutation_seed =
        permutation_seed(lane_stream(state.stream, lanes, l), state.lanes.back().task);
  }
  return state;
}

proto::StreamState to_message(const StreamState& state) {
  proto::StreamState message;
  message.set_stream(state.stream);
  message.set_task(state.task);
  message.set_step(state.step);
  message.set_truncation(state.truncation);
  message.set_begun_at(state.begun_at);
  for (const auto& lane : state.lanes) to_message(lane, *message.add_lanes());
  return message;
}

}  // namespace outerloop::store
