#pragma once
// Reports of a run, on the terminal and in files: start table, progress line, environment.json, result.json
// and the final table.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/startup.h"
#include "common/net/mpi.h"
#include "coordinator/coordinator.h"
#include "coordinator/run_directory.h"

namespace outerloop::cli {

/// The content of environment.json. `rate`: estimated gradients per second.
nlohmann::json environment_of(const net::MpiSession& mpi, const std::vector<std::string>& hosts,
                              const RankSetup& setup, double rate, const config::Settings& settings);

/// Prints the start table to standard output.
void print_start(const Plan& plan, const RankSetup& setup, double rate, std::int64_t workers);

/// The progress line; `now` in seconds, of the coordinator's clock.
std::string progress_line(const coordinator::Coordinator& coordinator, const coordinator::RunDirectory& run,
                          const proto::Config& config, double now);

/// The preliminary content of result.json, for a run that starts at `update`.
nlohmann::json started_result(const net::MpiSession& mpi, std::int64_t update);

/// The end of the progress line: workers silent for longer than 30 s and ten times their usual pause, and for
/// how long. Empty if there are none.
std::string silent_workers(const coordinator::Membership& membership, double now);

/// The content of result.json. `last`: the last checkpoint; `theta_sha256`: the hash of its θ.
nlohmann::json result_of(const net::MpiSession& mpi, const coordinator::Coordinator& coordinator,
                         const store::Checkpoint& last, coordinator::StopReason reason,
                         const std::string& theta_sha256);

/// Prints the same as a table to standard output, with the command to resume the run if that is possible.
void print_result(const nlohmann::json& result, const coordinator::RunDirectory& run,
                  coordinator::StopReason reason);

}  // namespace outerloop::cli
