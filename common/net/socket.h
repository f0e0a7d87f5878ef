#pragma once
// TCP sockets that never wait: listening, connecting, keep-alive. All are closed on exec.
#include <cstdint>
#include <optional>
#include <string>

namespace outerloop::net {

/// A descriptor that is closed with its object.
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
  /// Nothing for a text that is none.
  static std::optional<Endpoint> parse(const std::string& text);
};

/// Listens at `address`, at a port of the kernel's choice that `port` gets; closed where it cannot.
Socket listen_at(const std::string& address, std::uint16_t& port);

/// Takes the next connection that has come; closed where there is none, or no descriptor for it.
Socket accept_at(const Socket& listening);

/// Begins to connect; closed where that has failed at once.
Socket begin_connecting(const Endpoint& to);

enum class Connecting { under_way, connected, failed };
Connecting connecting(const Socket& socket);

/// The kernel asks the other side for a sign of life every tenth of `silence` seconds, but at least every 15
/// s and at most once a second. A cut of the network that is shorter than `silence` costs nothing; a longer
/// one ends the connection, three of these pauses later at the latest.
void keep_alive(const Socket& socket, double silence);

/// How a connection stands after an attempt to read.
enum class Reading {
  nothing,    ///< for now
  bytes,      ///< have come
  closed,     ///< end of file or reset: the process at the other end is gone
  timed_out,  ///< the host at the other end, or the network to it
};

/// Reads at most `count` bytes without waiting; `got` is how many came.
Reading read_some(const Socket& socket, char* to, std::size_t count, std::size_t& got);

/// Writes all `count` bytes, which fit into an empty socket's buffer, without waiting; false where it cannot.
bool write_now(const Socket& socket, const char* from, std::size_t count);

/// Raises this process's soft limit of open descriptors to `wanted`, as far as it may.
void raise_descriptor_limit(std::uint64_t wanted);

}  // namespace outerloop::net
