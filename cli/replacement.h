#pragma once
// train --respawn: a new process in the place of each worker that is lost.
#include <cstddef>
#include <map>
#include <string>

#include "cli/startup.h"
#include "common/net/mpi.h"
#include "common/net/peer_process.h"
#include "common/net/watchdog.h"
#include "coordinator/coordinator.h"

namespace outerloop::cli {

/// Rank 0's part. References outlive it.
class Replacements {
 public:
  Replacements(net::MpiTransport& transport, net::Watchdog& watchdog, net::PeerProcesses& processes,
               coordinator::Observer& observer, const Plan& plan);

  /// To be called now and then: starts a process for each loss that has none yet, and watches those that have
  /// said hello. Where MPI cannot start one, says so, and the run goes on with the workers that it has.
  void replace(coordinator::Coordinator& coordinator, double now);

 private:
  int start();

  net::MpiTransport& transport_;
  net::Watchdog& watchdog_;
  net::PeerProcesses& processes_;
  coordinator::Observer& observer_;
  std::string briefing_;
  std::size_t replaced_ = 0;
  bool possible_ = true;
};

/// What a started process is told before it can say hello.
struct Briefing {
  Plan plan;                ///< settings, run directory, dataset hashes
  std::string coordinator;  ///< rank 0's PeerProcess::here()
};

/// The started process's part. Throws Error where nothing comes.
Briefing receive_briefing(const net::MpiSession& mpi);

/// Deterministic mode: throws InputError where a dataset differs from the one that the run began with.
void check_same_datasets(const Plan& plan, const std::map<std::string, std::string>& here);

}  // namespace outerloop::cli
