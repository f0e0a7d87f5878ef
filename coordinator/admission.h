#pragma once
// Admission of a worker by its hello: whether it runs the same program with the same bits as the others. And
// of the streams that it sends.
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "common/store/files.h"
#include "coordinator/options.h"
#include "outerloop/messages.pb.h"

namespace outerloop::coordinator {

/// Why the worker cannot take part, and what to do about it; empty where it can. `rule` has the engine and
/// the instruction set of the run, which deterministic mode needs to be the same everywhere.
std::string objection_to(const proto::Hello& hello, const store::RuleFile& rule, bool deterministic);

/// How a newcomer's datasets and program differ from the run's; nothing where they do not.
std::vector<std::string> differences_of(const proto::Hello& hello, const CoordinatorOptions& options);

/// Why a stream's state from a worker that has the streams `owned` cannot be taken; empty where it can.
/// `update`: the coordinator's.
std::string objection_to(const proto::StreamState& state, const std::vector<std::uint32_t>& owned,
                         std::int64_t update, const CoordinatorOptions& options);

}  // namespace outerloop::coordinator
