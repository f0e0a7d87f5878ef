#pragma once
// The coordinator's answers to workers: the next command, with streams and θ.
#include <cstdint>
#include <optional>
#include <vector>

#include "common/net/transport.h"
#include "coordinator/evaluations.h"
#include "coordinator/learner.h"
#include "coordinator/membership.h"
#include "coordinator/stop_reason.h"
#include "coordinator/turnover.h"

namespace outerloop::coordinator {

struct Answer {
  int to = 0;
  net::Frame frame;
};

/// State of the run that all answers depend on. References must outlive the call.
struct RunState {
  const Learner& learner;
  const Evaluations& evaluations;
  std::uint32_t segment = 0;
  StopReason wanted_stop = StopReason::none;  ///< waits for streams or evaluations
  StopReason stop_reason = StopReason::none;
  std::int64_t assign_bytes = 0;  ///< see CoordinatorOptions
};

/// The answer to `member`, number `to`. Marks the member's pending assignments as sent, and the θ of this
/// answer as known to it. `piece`: the evaluation piece dealt out to the member; `send_streams`: the member
/// must send its streams.
Answer make_answer(int to, Member& member, const RunState& run, const std::optional<EvaluationPiece>& piece,
                   bool send_streams);

/// Releases the workers that have said farewell at the end of the run. `finalize`: MPI_Finalize will return
/// on all ranks.
std::vector<Answer> release_all(const Membership& membership, const Turnover& turnover, bool finalize);

}  // namespace outerloop::coordinator
