#pragma once
// Between the wire's messages and the store's structs; and the protocol's version.
#include "common/store/files.h"
#include "outerloop/messages.pb.h"

namespace outerloop::store {

inline constexpr std::uint32_t kProtocol = 4;

StreamState from_message(const proto::StreamState& message);
proto::StreamState to_message(const StreamState& state);

}  // namespace outerloop::store
