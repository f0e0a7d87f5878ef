#pragma once
// Non-blocking TCP sockets: listening, connecting, keep-alive. All are closed on exec.
#include <cstdint>
#include <optional>
#include <string>

namespace outerloop::net {

/// A descriptor, closed by the destructor.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(other.release()) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket() { close(); }

  bool open() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }
  void close();

 private:
  int release();
  int descriptor_ = -1;
};

/// An address and a port, e.g. "10.0.0.7:4711" or "[fd00::7]:4711".
struct Endpoint {
  std::string address;  ///< numeric
  std::uint16_t port = 0;

  std::string text() const;
  /// Nothing if the text is not an endpoint.
  static std::optional<Endpoint> parse(const std::string& text);
};

/// Listens at `address`, at a port that the kernel chooses and `port` gets; a closed socket on failure.
Socket listen_at(const std::string& address, std::uint16_t& port);

/// Accepts the next connection; a closed socket if there is none, or no free descriptor.
Socket accept_at(const Socket& listening);

/// Begins to connect; a closed socket if that fails at once.
Socket begin_connecting(const Endpoint& to);

enum class Connecting { under_way, connected, failed };
Connecting connecting(const Socket& socket);

/// The kernel probes the other side every tenth of `silence` seconds, but at least every 15 s and at most
/// once a second. The connection survives a network outage shorter than `silence`; a longer one ends it, at
/// the latest three probe intervals after that.
void keep_alive(const Socket& socket, double silence);

/// Result of an attempt to read.
enum class Reading {
  nothing,    ///< no data yet
  bytes,      ///< data was read
  closed,     ///< end of file or reset: the process at the other end is gone
  timed_out,  ///< no sign of life from the host at the other end, or from the network to it
};

/// Reads at most `count` bytes without waiting; `got` is the number read.
Reading read_some(const Socket& socket, char* to, std::size_t count, std::size_t& got);

/// Writes all `count` bytes, which fit into an empty socket's buffer, without waiting; false on failure.
bool write_now(const Socket& socket, const char* from, std::size_t count);

/// Raises this process's soft limit of open descriptors to `wanted`, or as far as permitted.
void raise_descriptor_limit(std::uint64_t wanted);

}  // namespace outerloop::net
