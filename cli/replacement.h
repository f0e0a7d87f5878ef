#pragma once
// Workers added to a running job: --respawn starts one in place of each lost worker, --joinable accepts
// workers of another mpirun (--join).
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cli/bounded_call.h"
#include "cli/presence.h"
#include "cli/startup.h"
#include "common/net/mpi.h"
#include "common/net/peer_process.h"
#include "common/net/watchdog.h"
#include "coordinator/coordinator.h"

namespace outerloop::cli {

/// Rank 0's part of --respawn. References must outlive it.
class Replacements {
 public:
  /// `listener`: for the connections of new workers; may be null.
  Replacements(net::MpiTransport& transport, const BoundedCall& bounded, coordinator::Observer& observer,
               const Plan& plan, net::SilentListener* listener);

  /// Starts a process for each loss that has no replacement yet; call it regularly. If MPI cannot start one,
  /// prints a warning, and the run continues with its present workers.
  void replace(coordinator::Coordinator& coordinator, double now);

 private:
  int start();

  net::MpiTransport& transport_;
  const BoundedCall& bounded_;
  coordinator::Observer& observer_;
  net::SilentListener* listener_;
  net::ProgramFile program_;
  std::string briefing_;
  std::size_t replaced_ = 0;
  bool possible_ = true;
};

/// Rank 0's part of --joinable. References must outlive it.
class JoinListener {
 public:
  /// Writes join.json with the token, readable by this user only. Throws InputError if MPI cannot connect.
  JoinListener(net::MpiTransport& transport, const BoundedCall& bounded, coordinator::Observer& observer,
               const Plan& plan, net::SilentListener* listener);
  ~JoinListener();
  JoinListener(const JoinListener&) = delete;
  JoinListener& operator=(const JoinListener&) = delete;

  /// Accepts a worker that asks to join; call it regularly. Waits for the worker's silent connection first,
  /// which proves that it is alive, has the token and can reach this host. A request without one is dropped
  /// after kRequestSeconds.
  void look(double now);
  static constexpr double kRequestSeconds = 10.0;

 private:
  void accept(net::CallerNumber caller);
  void forget_request();

  net::MpiTransport& transport_;
  const BoundedCall& bounded_;
  coordinator::Observer& observer_;
  net::SilentListener* listener_;
  std::string directory_;
  std::string port_;
  std::optional<double> asked_at_;  ///< time when the present request was first seen
  std::string briefing_;
};

/// Read by a new worker: the meeting point of rank 0 of the run in `directory`, with a new caller number.
/// Nothing if that run offers no connection. Throws InputError if there is no run to join.
std::optional<Invitation> read_invitation(const std::string& directory);

/// Called by the new worker: asks to join the run in `directory`, with that caller number. Throws InputError
/// if there is no run to join.
std::unique_ptr<net::MpiTransport> request_to_join(const net::MpiSession& mpi, const std::string& directory,
                                                   net::CallerNumber caller);

/// The information that a new worker needs before its hello.
struct Briefing {
  Plan plan;                ///< settings, run directory, dataset hashes
  std::string coordinator;  ///< rank 0's PeerProcess::here()
};

/// Throws Error if none arrives.
Briefing receive_briefing(net::Transport& transport);

}  // namespace outerloop::cli
