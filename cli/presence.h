#pragma once
// Mutual detection of the ranks from MPI_Init on: the silent connections of workers to rank 0, and progress
// messages during start-up.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/base/error.h"
#include "common/net/mpi.h"
#include "common/net/silent_connection.h"
#include "common/net/watchdog.h"

namespace outerloop::cli {

/// A rank has ended during start-up. No rank may wait for it, and MPI cannot be finalised.
class RankEnded : public Error {
 public:
  using Error::Error;
};

/// Environment variable of a worker that rank 0 has started: its caller number, and rank 0's meeting point.
inline constexpr const char* kCallerVariable = "OUTERLOOP_CALLER";

/// The value of that variable.
struct Invitation {
  net::CallerNumber caller = 0;
  net::MeetingPoint meeting_point;

  /// "CALLER TOKEN ENDPOINT ...", without the last endpoints if it would exceed `most` characters.
  std::string text(std::size_t most) const;
  /// Nothing if the variable is missing or malformed.
  static std::optional<Invitation> from_environment();
};

/// A worker's progress message before its hello: the inner step of its speed measurement.
net::Frame progress_frame(std::int64_t step);

/// The presence of this rank. References must outlive it.
class Presence {
 public:
  /// For the initial ranks; construct it on all of them. Rank 0 sends each worker its address and waits up to
  /// SilentConnection::kConnectSeconds for the connections; later ones are accepted, too. From here on, waits
  /// of `mpi` throw RankEnded if a rank has ended. `joinable`: other workers may join, also from other hosts.
  Presence(net::MpiSession& mpi, net::Watchdog& watchdog, bool joinable);
  /// For workers that are added later.
  Presence(net::MpiSession& mpi, net::Watchdog& watchdog, const Invitation& invitation);
  ~Presence();
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

  /// Sets keep-alive, once silence_seconds is known.
  void set_silence(double seconds);
  /// Ends the checks while waiting: from here on, the run itself checks the connections.
  void end_start() { mpi_.set_while_waiting({}); }

  /// Rank 0's side; null on other ranks, and if no socket was available.
  net::SilentListener* listener() { return listener_.get(); }

  /// On a worker: why rank 0's process, its host or the network to it is gone; empty if it is not.
  std::string coordinator_gone();

  /// Reports that a worker's speed measurement has reached this inner step.
  void tell(std::int64_t step);

 private:
  void invite_workers(bool joinable);
  void accept_invitation();
  void watch_workers();
  void watch_coordinator();
  bool take_messages(const char* awaited);
  bool time_to_look();
  bool watched_for_long(bool gone);

  net::MpiSession& mpi_;
  net::Watchdog& watchdog_;
  const net::SteadyClock clock_;
  std::unique_ptr<net::MpiTransport> transport_;  ///< only for start-up, with a tag of its own
  std::unique_ptr<net::SilentListener> listener_;
  std::optional<net::SilentConnection> connection_;
  double silence_ = 0.0;
  double looked_ = 0.0;
  double told_ = 0.0;
  std::optional<double> gone_since_;
  std::optional<int> ended_;  ///< the first worker that has ended
};

}  // namespace outerloop::cli
