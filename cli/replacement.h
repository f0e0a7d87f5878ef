#pragma once
// Workers that are added to a running job: --respawn starts one in the place of each that is lost, --joinable
// lets in those of another mpirun (--join).
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

/// Rank 0's part. References outlive it.
class Replacements {
 public:
  /// `listener`, which may be null: what the new workers connect to.
  Replacements(net::MpiTransport& transport, const BoundedCall& bounded, coordinator::Observer& observer,
               const Plan& plan, net::SilentListener* listener);

  /// To be called now and then: starts a process for each loss that has none yet. Where MPI cannot start one,
  /// says so, and the run goes on with the workers that it has.
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

/// Rank 0's part of --joinable. References outlive it.
class JoinListener {
 public:
  /// Writes join.json, which only this user may read: the token is in it. Throws InputError where MPI cannot
  /// connect.
  JoinListener(net::MpiTransport& transport, const BoundedCall& bounded, coordinator::Observer& observer,
               const Plan& plan, net::SilentListener* listener);
  ~JoinListener();
  JoinListener(const JoinListener&) = delete;
  JoinListener& operator=(const JoinListener&) = delete;

  /// To be called regularly: accepts a worker that asks to join once its silent connection stands: it lives,
  /// has the token and reaches this host. A request without one is forgotten after kRequestSeconds.
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
  std::optional<double> asked_at_;  ///< when the present request was first seen
  std::string briefing_;
};

/// Read by a new worker: how it connects to rank 0 of the run in `directory`, by a number drawn for it.
/// Nothing where that run offers no connection. Throws InputError where there is no run to join.
std::optional<Invitation> read_invitation(const std::string& directory);

/// Called by the new worker: asks to join the run in `directory`, as that caller. Throws InputError where
/// there is none to join.
std::unique_ptr<net::MpiTransport> request_to_join(const net::MpiSession& mpi, const std::string& directory,
                                                   net::CallerNumber caller);

/// What a newcomer is told before it can say hello.
struct Briefing {
  Plan plan;                ///< settings, run directory, dataset hashes
  std::string coordinator;  ///< rank 0's PeerProcess::here()
};

/// Throws Error where nothing comes.
Briefing receive_briefing(net::Transport& transport);

}  // namespace outerloop::cli
