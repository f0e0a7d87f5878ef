#pragma once
// The silent TCP connection that each worker holds to rank 0 beside MPI. Its end is the end of the process at
// the other side, or of its host, which MPI does not tell. After a greeting that shows the run's token, and
// its answer, nobody speaks on it. No threads: both sides look at it now and then, and never wait.
//
// The greeting: "OLS1", the first half of the token, the caller's number (64 bits, little-endian). The
// answer: "OLS1" and the other half, by which the caller knows that it has reached its own run's rank 0.
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

/// What a process needs to reach rank 0: in a message at the start, in join.json for those that join, in the
/// environment for replacements; never in arguments, which everybody on the host can read.
struct MeetingPoint {
  std::string token;                   ///< 64 hexadecimal digits
  std::vector<std::string> endpoints;  ///< of rank 0, e.g. "10.0.0.7:4711"

  /// "TOKEN ENDPOINT ENDPOINT ..."
  std::string text() const;
  /// Throws InputError for a text that is none.
  static MeetingPoint parse(const std::string& text);
};

/// Who calls: ranks of the start by their rank, all others by a number that is drawn for them.
using CallerNumber = std::uint64_t;
/// One that no rank has.
CallerNumber draw_caller_number();

/// How a connection that stood has ended.
enum class ConnectionEnd {
  closed,     ///< the process is gone
  timed_out,  ///< keep-alive: its host, or the network to it
};

/// Rank 0's side.
class SilentListener {
 public:
  /// Most connections at a time that have not shown the token, and how long each may take to.
  static constexpr std::size_t kMostStrangers = 64;
  static constexpr double kStrangerSeconds = 2.0;

  /// Listens at `addresses`, each at a port of its own. Throws Error where it can at none.
  explicit SilentListener(const std::vector<std::string>& addresses);

  const MeetingPoint& meeting_point() const { return meeting_point_; }
  /// Keep-alive of all connections, those to come included; see keep_alive(). None before.
  void set_silence(double seconds);

  /// From now on the caller of that number is `worker`, whether it has connected or not.
  void bind(CallerNumber caller, int worker);

  struct End {
    int worker = 0;
    ConnectionEnd how{};
  };
  /// To be called several times a second, `now` in seconds: accepts, checks tokens, and returns workers whose
  /// connection has ended, each once. Strangers make it neither wait nor allocate.
  std::vector<End> look(double now);

  /// The caller has shown the token, and its connection stands: its process is alive and reaches rank 0.
  bool stands(CallerNumber caller) const;
  /// The same of a worker; false for one that never connected.
  bool worker_stands(int worker) const;
  /// It has connected at some time.
  bool worker_came(int worker) const;
  std::size_t strangers() const { return strangers_; }

 private:
  static constexpr std::size_t kGreetingBytes = 44;
  static constexpr std::size_t kMostUnbound = 1024;  ///< callers of no worker that are remembered

  struct Stranger {
    Socket socket;
    double since = 0.0;
    std::array<char, kGreetingBytes> greeting{};
    std::size_t got = 0;
  };
  struct Caller {
    std::vector<Socket> sockets;  ///< one, and for moments those that it tried beside it
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
  std::vector<pollfd> polled_;             ///< memory of look_at_callers()
  double silence_ = 0.0;
};

/// A worker's side.
class SilentConnection {
 public:
  /// Most seconds that all of rank 0's addresses are tried for.
  static constexpr double kConnectSeconds = 5.0;

  SilentConnection(const MeetingPoint& meeting_point, CallerNumber caller);

  /// Tries all addresses at once until rank 0 has answered at one, all have failed, or `seconds` are over.
  /// Returns whether it has. Rank 0 may be busy: what still stands is kept, and its answer taken later.
  bool connect(double seconds = kConnectSeconds);

  void set_silence(double seconds);
  /// Rank 0 has answered, now or before.
  bool confirmed() const { return confirmed_; }
  /// How it ended; nothing while it stands, and where it never stood.
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
  std::vector<Attempt> attempts_;  ///< one once rank 0 has answered
  bool confirmed_ = false;
  std::optional<ConnectionEnd> ended_;
  double silence_ = 0.0;
};

}  // namespace outerloop::net
