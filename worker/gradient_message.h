#pragma once
// A truncation's gradient as it goes to the coordinator: clipped lane by lane, and averaged over lanes.
#include <cstdint>
#include <vector>

#include "outerloop/messages.pb.h"
#include "worker/stream.h"

namespace outerloop::worker {

struct GradientMessage {
  proto::Gradient header;
  std::vector<float> floats;  ///< [parameters]; empty if no lane has a gradient
};

/// The message of `step`, which `stream` took with the θ of `theta_version`. Each lane's gradient is scaled
/// down to the norm `clip` (0: no clipping). A lane without a gradient counts as zero.
GradientMessage gradient_message(const StreamStep& step, std::uint32_t stream, std::int64_t theta_version,
                                 double clip);

proto::Gradient::Outcome to_message(rule::Outcome outcome);

}  // namespace outerloop::worker
