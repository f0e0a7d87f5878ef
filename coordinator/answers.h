#pragma once
// The coordinator's answers to workers: what to do next, with which streams and which θ.
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

/// Where the run stands, as far as all workers are concerned. References outlive the call.
struct RunState {
  const Learner& learner;
  const Evaluations& evaluations;
  std::uint32_t segment = 0;
  StopReason wanted_stop = StopReason::none;  ///< streams or evaluations are still waited for
  StopReason stop_reason = StopReason::none;
  std::int64_t assign_bytes = 0;  ///< see CoordinatorOptions
};

/// Answers `member`, number `to`. What was to be said to it counts as said, and the θ that goes with the
/// answer as known to it. `piece`: of an evaluation, dealt out to it; `send_streams`: it is to send its own.
Answer make_answer(int to, Member& member, const RunState& run, const std::optional<EvaluationPiece>& piece,
                   bool send_streams);

/// Lets those go that have said farewell at the end of the run. `finalize`: MPI_Finalize will end on all
/// ranks.
std::vector<Answer> release_all(const Membership& membership, const Turnover& turnover, bool finalize);

}  // namespace outerloop::coordinator
