#pragma once
// The options of coordinator, worker and streams, from a run's configuration.
#include <cstdint>

#include "cli/startup.h"
#include "common/net/mpi.h"
#include "coordinator/coordinator.h"
#include "worker/worker.h"

namespace outerloop::cli {

/// `workers`: how many the run begins with.
coordinator::CoordinatorOptions coordinator_options(const Plan& plan, const RankSetup& setup,
                                                    std::int64_t workers);

/// Most bytes of a worker's message: a gradient or a stream's state, and what goes with it.
std::int64_t most_message_bytes(const Plan& plan, const RankSetup& setup);

/// The setup outlives the result.
worker::StreamContext stream_context(const RankSetup& setup, const config::Settings& settings);

/// `joined`: the worker comes from another mpirun (--join).
worker::WorkerOptions worker_options(const net::MpiSession& mpi, const RankSetup& setup,
                                     const proto::Config& config, bool joined = false);

}  // namespace outerloop::cli
