#pragma once
// Admission of a worker by its hello: whether it runs the same program with the same bits as the others.
#include <string>

#include "common/store/files.h"
#include "outerloop/messages.pb.h"

namespace outerloop::coordinator {

/// Why the worker cannot take part, and what to do about it; empty where it can. `rule` has the engine and
/// the instruction set of the run, which deterministic mode needs to be the same everywhere.
std::string objection_to(const proto::Hello& hello, const store::RuleFile& rule, bool deterministic);

}  // namespace outerloop::coordinator
