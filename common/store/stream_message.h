#pragma once
// Conversion of a stream's state between protobuf message and struct; the protocol version.
#include "common/store/files.h"
#include "outerloop/messages.pb.h"

namespace outerloop::store {

/// Protocol version in a worker's Hello. Coordinator and workers of different versions do not work together.
inline constexpr std::uint32_t kProtocol = 8;

/// The number that lane `lane` of a stream of so many lanes draws its tasks by: no two lanes of a run have
/// one.
std::uint32_t lane_stream(std::uint32_t stream, std::size_t lanes, std::size_t lane);

/// LaneState::permutation_seed, for readers of files; `number` is lane_stream().
std::uint64_t permutation_seed(std::uint32_t number, std::uint32_t task);

StreamState from_message(const proto::StreamState& message);
proto::StreamState to_message(const StreamState& state);

}  // namespace outerloop::store
