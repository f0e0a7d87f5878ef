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

/// References and `listener` outlive it.
class Housekeeping {
 public:
  Housekeeping(coordinator::Coordinator& coordinator, coordinator::RunDirectory& run, const Plan& plan,
               const Ranks& ranks, net::Watchdog& watchdog, const net::Clock& clock,
               net::SilentListener* listener, const BoundedCall& bounded);

  /// From now on a worker is started in the place of each that is lost. `transport` is used by each_round().
  void start_replacements(net::MpiTransport& transport);

  /// From now on workers of another mpirun may join. `transport` is used by each_round(). Throws InputError
  /// where MPI cannot connect.
  void let_others_join(net::MpiTransport& transport);

  /// To be called several times a second while the run goes on.
  void each_round();

  /// Ends the progress line: what is printed from now on begins on a line of its own.
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
  net::SilentListener* listener_;  ///< null: a process alone, or one that no socket could be had for
  double started_;
  std::set<int> missed_;  ///< workers whose missing connection has been warned of
  std::optional<Progress> progress_;
  std::optional<Replacements> replacements_;
  std::optional<JoinListener> join_listener_;
};

}  // namespace outerloop::cli
