#pragma once
// Presence of the ranks to each other, from the first moment after MPI_Init on: the silent connections of
// workers to rank 0, and what is said during the start about how far it has come.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/base/error.h"
#include "common/net/mpi.h"
#include "common/net/silent_connection.h"
#include "common/net/watchdog.h"

namespace outerloop::cli {

/// A rank has ended during the start: nobody may wait for it, and MPI cannot be finalised.
class RankEnded : public Error {
 public:
  using Error::Error;
};

/// In the environment of a worker that rank 0 has started: its number as a caller, and rank 0's meeting
/// point.
inline constexpr const char* kCallerVariable = "OUTERLOOP_CALLER";

/// Its value.
struct Invitation {
  net::CallerNumber caller = 0;
  net::MeetingPoint meeting_point;

  /// "CALLER TOKEN ENDPOINT ...", of at most `most` characters: the last endpoints are left out.
  std::string text(std::size_t most) const;
  /// Nothing where the variable is missing or holds something else.
  static std::optional<Invitation> from_environment();
};

/// What a worker says before it has said hello: how far it is with what it measures.
net::Frame progress_frame(std::int64_t step);

/// One of a run's ranks. References outlive it.
class Presence {
 public:
  /// Of a rank of the start; to be made by all. Rank 0 tells every worker where it is, one by one, and gives
  /// them SilentConnection::kConnectSeconds; who is not there then is accepted later. From here on the
  /// waiting of `mpi` throws RankEnded, where a rank has ended. `joinable`: others may come, from other hosts
  /// too.
  Presence(net::MpiSession& mpi, net::Watchdog& watchdog, bool joinable);
  /// Of a worker that comes later.
  Presence(net::MpiSession& mpi, net::Watchdog& watchdog, const Invitation& invitation);
  ~Presence();
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

  /// Keep-alive, now that silence_seconds is known.
  void set_silence(double seconds);
  /// From here on the run itself looks at the connections: waiting does not any more.
  void end_start() { mpi_.set_while_waiting({}); }

  /// Rank 0's side; null on others, and where no socket could be had.
  net::SilentListener* listener() { return listener_.get(); }

  /// A worker's: why rank 0's process, its host or the network to it is known to be gone; empty where it is
  /// not.
  std::string coordinator_gone();

  /// A worker is at this inner step of what it measures in the start.
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
  std::unique_ptr<net::MpiTransport> transport_;  ///< of the start alone; it has a tag of its own
  std::unique_ptr<net::SilentListener> listener_;
  std::optional<net::SilentConnection> connection_;
  double silence_ = 0.0;
  double looked_ = 0.0;
  double told_ = 0.0;
  std::optional<double> gone_since_;
  std::optional<int> ended_;  ///< the first worker that has ended
};

}  // namespace outerloop::cli
