#pragma once
// Conversion of a stream's state between protobuf message and struct; the protocol version.
#include "common/store/files.h"
#include "outerloop/messages.pb.h"

namespace outerloop::store {

/// Protocol version in a worker's Hello. Coordinator and workers of different versions do not work together.
inline constexpr std::uint32_t kProtocol = 7;

StreamState from_message(const proto::StreamState& message);
proto::StreamState to_message(const StreamState& state);

}  // namespace outerloop::store
