#pragma once
// Rank 0's work between messages: delayed writes, ended processes, new workers, and the progress line.
#include <optional>
#include <set>

#include "cli/replacement.h"
#include "cli/support/progress.h"
#include "common/net/peer_process.h"
#include "common/net/silent_connection.h"
#include "common/net/watchdog.h"
#include "coordinator/coordinator.h"
#include "coordinator/run_directory.h"

namespace outerloop::cli {

/// References and `listener` must outlive it.
class Housekeeping {
 public:
  Housekeeping(coordinator::Coordinator& coordinator, coordinator::RunDirectory& run, const Plan& plan,
               const Ranks& ranks, net::Watchdog& watchdog, const net::Clock& clock,
               net::SilentListener* listener, const BoundedCall& bounded);

  /// From now on, each lost worker is replaced. each_round() uses `transport`.
  void start_replacements(net::MpiTransport& transport);

  /// From now on, workers of another mpirun may join. each_round() uses `transport`. Throws InputError if MPI
  /// cannot connect.
  void let_others_join(net::MpiTransport& transport);

  /// Call it several times a second during the run.
  void each_round();

  /// Ends the progress line: later output begins on a new line.
  void end_progress() { progress_.reset(); }

 private:
  void look_after_processes();
  void look_after_connections();

  coordinator::Coordinator& coordinator_;
  coordinator::RunDirectory& run_;
  const Plan& plan_;
  net::Watchdog& watchdog_;
  const net::Clock& clock_;
  net::PeerProcesses processes_;
  const BoundedCall& bounded_;
  net::SilentListener* listener_;  ///< null for a single process, or without a socket
  double started_;
  std::set<int> missed_;  ///< workers without a connection, already warned about
  std::optional<Progress> progress_;
  std::optional<Replacements> replacements_;
  std::optional<JoinListener> join_listener_;
};

}  // namespace outerloop::cli
