#pragma once
// Conversion of a stream's state between protobuf message and struct; the protocol version.
#include "common/store/files.h"
#include "outerloop/messages.pb.h"

namespace outerloop::store {

/// The version that workers send in their Hello. Coordinator and workers must have the same version.
inline constexpr std::uint32_t kProtocol = 6;

StreamState from_message(const proto::StreamState& message);
proto::StreamState to_message(const StreamState& state);

}  // namespace outerloop::store
