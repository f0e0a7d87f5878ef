#pragma once
// Admission checks: whether a worker runs the same program as the others, with bitwise equal results, and
// whether its streams are valid.
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "common/store/files.h"
#include "coordinator/options.h"
#include "outerloop/messages.pb.h"

namespace outerloop::coordinator {

/// Why the worker cannot take part, and the remedy; empty if it can. `rule` holds the engine and the
/// instruction set of the run; deterministic mode requires them to be the same everywhere.
std::string objection_to(const proto::Hello& hello, const store::RuleFile& rule, bool deterministic);

/// The dataset's name in a key of dataset_sha256: "0.glyphs" for training, "evaluation.0.glyphs".
std::string dataset_name(const std::string& key);

/// How the datasets and the program of a late joiner differ from the run's; empty if they do not.
std::vector<std::string> differences_of(const proto::Hello& hello, const CoordinatorOptions& options);

/// Why a stream's state is rejected; empty if it is valid. `owned`: the streams of the worker that sent it.
/// `update`: the coordinator's. `theta`: number of θ's elements.
std::string objection_to(const proto::StreamState& state, const std::set<std::uint32_t>& owned,
                         std::int64_t update, std::size_t theta, const CoordinatorOptions& options);

}  // namespace outerloop::coordinator
