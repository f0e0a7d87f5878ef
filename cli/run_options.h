#pragma once
// The options of coordinator, worker and streams, from a run's configuration.
#include <cstdint>

#include "cli/startup.h"
#include "common/net/mpi.h"
#include "coordinator/coordinator.h"
#include "worker/worker.h"

namespace outerloop::cli {

/// `workers`: their number at the start of the run.
coordinator::CoordinatorOptions coordinator_options(const Plan& plan, const RankSetup& setup,
                                                    std::int64_t workers);

/// Largest message of a worker in bytes: a gradient or a stream's state, and its metadata.
std::int64_t most_message_bytes(const Plan& plan, const RankSetup& setup);

/// The setup must outlive the result.
worker::StreamContext stream_context(const RankSetup& setup, const config::Settings& settings);

/// Whether workers prepare minibatches in advance: a GPU computes meanwhile, but a CPU would share its cores.
bool prefetches(const proto::Config& config);

/// `joined`: the worker comes from another mpirun (--join).
worker::WorkerOptions worker_options(const net::MpiSession& mpi, const RankSetup& setup,
                                     const proto::Config& config, bool joined = false);

}  // namespace outerloop::cli
