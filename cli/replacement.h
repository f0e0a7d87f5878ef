#pragma once
// Workers that are added to a running job: --respawn starts one in the place of each that is lost, --joinable
// lets in those of another mpirun (--join).
#include <cstddef>
#include <map>
#include <memory>
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
  Replacements(net::MpiTransport& transport, net::Watchdog& watchdog, coordinator::Observer& observer,
               const Plan& plan);

  /// To be called now and then: starts a process for each loss that has none yet. Where MPI cannot start one,
  /// says so, and the run goes on with the workers that it has.
  void replace(coordinator::Coordinator& coordinator, double now);

 private:
  int start();

  net::MpiTransport& transport_;
  net::Watchdog& watchdog_;
  coordinator::Observer& observer_;
  std::string briefing_;
  std::size_t replaced_ = 0;
  bool possible_ = true;
};

/// Rank 0's part of --joinable. References outlive it.
class JoinListener {
 public:
  /// Writes join.json. Throws InputError where MPI cannot connect.
  JoinListener(net::MpiTransport& transport, net::Watchdog& watchdog, coordinator::Observer& observer,
               const Plan& plan);
  ~JoinListener();
  JoinListener(const JoinListener&) = delete;
  JoinListener& operator=(const JoinListener&) = delete;

  /// To be called regularly: accepts a worker that asks to join.
  void look();

 private:
  net::MpiTransport& transport_;
  net::Watchdog& watchdog_;
  coordinator::Observer& observer_;
  std::string directory_;
  std::string port_;
  std::string briefing_;
};

/// Called by the new worker: asks to join the run in `directory`. Throws InputError where there is none to
/// join.
std::unique_ptr<net::MpiTransport> request_to_join(const net::MpiSession& mpi, const std::string& directory);

/// What a newcomer is told before it can say hello.
struct Briefing {
  Plan plan;                ///< settings, run directory, dataset hashes
  std::string coordinator;  ///< rank 0's PeerProcess::here()
};

/// Throws Error where nothing comes.
Briefing receive_briefing(net::Transport& transport);

}  // namespace outerloop::cli
