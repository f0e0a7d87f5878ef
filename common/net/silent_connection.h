#pragma once
// The silent TCP connection of each worker to rank 0, besides MPI. It ends when the process at the other side
// or its host ends, which MPI does not report. After a greeting with the run's token, and its answer, neither
// side sends anything. No threads: both sides poll it and never wait.
//
// The greeting: "OLS1", the first half of the token, the caller's number (64 bits, little-endian). The
// answer: "OLS1" and the other half, which proves to the caller that it has reached its own run's rank 0.
#include <poll.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/net/addresses.h"
#include "common/net/socket.h"

namespace outerloop::net {

/// The information to reach rank 0. It travels in a message at the start, in join.json for late joiners, and
/// in the environment for replacements; never in arguments, which everybody on the host can read.
struct MeetingPoint {
  std::string token;                   ///< 64 hexadecimal digits
  std::vector<std::string> endpoints;  ///< of rank 0, e.g. "10.0.0.7:4711"

  /// "TOKEN ENDPOINT ENDPOINT ..."
  std::string text() const;
  /// Throws InputError for any other text.
  static MeetingPoint parse(const std::string& text);
};

/// Number of a caller: the rank for initial ranks, a random number for all others.
using CallerNumber = std::uint64_t;
/// A random number that is not a rank.
CallerNumber draw_caller_number();

/// How an established connection ended.
enum class ConnectionEnd {
  closed,     ///< the process is gone
  timed_out,  ///< by keep-alive: no sign of life from its host, or from the network to it
};

/// Rank 0's side.
class SilentListener {
 public:
  /// Limits on connections that have not shown the token: their number and the time for each.
  static constexpr std::size_t kMostStrangers = 64;
  static constexpr double kStrangerSeconds = 2.0;

  /// Listens at `addresses`, each at a port of its own. Throws Error if all fail.
  explicit SilentListener(const std::vector<std::string>& addresses);

  const MeetingPoint& meeting_point() const { return meeting_point_; }
  /// Sets keep-alive for all present and future connections, see keep_alive(). Off until then.
  void set_silence(double seconds);

  /// From now on the caller of that number is `worker`, connected or not.
  void bind(CallerNumber caller, int worker);

  struct End {
    int worker = 0;
    ConnectionEnd how{};
  };
  /// Call it several times a second, with `now` in seconds. Accepts connections, checks tokens, and returns
  /// workers whose connection has ended, each once. Unauthenticated connections cause neither waiting nor
  /// allocation.
  std::vector<End> look(double now);

  /// The caller has shown the token, and its connection is open: its process is alive and can reach rank 0.
  bool stands(CallerNumber caller) const;
  /// The same for a worker; false if it never connected.
  bool worker_stands(int worker) const;
  /// The worker has connected at some time.
  bool worker_came(int worker) const;
  std::size_t strangers() const { return strangers_; }

 private:
  static constexpr std::size_t kGreetingBytes = 44;
  static constexpr std::size_t kMostUnbound = 1024;  ///< limit on remembered callers without a worker

  struct Stranger {
    Socket socket;
    double since = 0.0;
    std::array<char, kGreetingBytes> greeting{};
    std::size_t got = 0;
  };
  struct Caller {
    std::vector<Socket> sockets;  ///< one, and briefly those of its other attempts
    std::optional<int> worker;
    std::optional<ConnectionEnd> ended;
    bool told = false;
  };
  bool read_greeting(Stranger& stranger);
  void admit(Stranger& stranger);
  void accept_all(double now);
  void look_at_strangers(double now);
  void look_at_callers();
  void forget_unbound();
  const Caller* find(int worker) const;

  MeetingPoint meeting_point_;
  std::vector<Socket> listening_;
  std::array<Stranger, kMostStrangers> waiting_;  ///< the first strangers_ are in use
  std::size_t strangers_ = 0;
  std::map<CallerNumber, Caller> callers_;
  std::map<int, CallerNumber> caller_of_;  ///< by worker
  std::vector<pollfd> polled_;             ///< buffer of look_at_callers()
  double silence_ = 0.0;
};

/// A worker's side.
class SilentConnection {
 public:
  /// Time limit in seconds for all of rank 0's addresses together.
  static constexpr double kConnectSeconds = 5.0;

  SilentConnection(const MeetingPoint& meeting_point, CallerNumber caller);

  /// Tries all addresses at once until rank 0 has answered at one, all have failed, or `seconds` are over.
  /// Returns whether rank 0 has answered. If it is busy, open attempts are kept, and its answer is read
  /// later.
  bool connect(double seconds = kConnectSeconds);

  void set_silence(double seconds);
  /// Rank 0 has answered.
  bool confirmed() const { return confirmed_; }
  /// How the connection ended; nothing while it is open, or if it never was.
  std::optional<ConnectionEnd> ended();

 private:
  static constexpr std::size_t kAnswerBytes = 36;

  struct Attempt {
    Socket socket;
    bool greeted = false;
    std::array<char, kAnswerBytes> answer{};
    std::size_t got = 0;
  };
  void look();
  bool advance(Attempt& attempt);

  MeetingPoint meeting_point_;
  CallerNumber caller_;
  std::vector<Attempt> attempts_;  ///< a single one once rank 0 has answered
  bool confirmed_ = false;
  std::optional<ConnectionEnd> ended_;
  double silence_ = 0.0;
};

}  // namespace outerloop::net
