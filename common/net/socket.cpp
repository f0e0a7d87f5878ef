#include "common/net/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

namespace outerloop::net {
namespace {

constexpr int kBacklog = 4096;  // simultaneous connections of workers; the kernel may allow fewer

/// A socket address in the kernel's format.
struct KernelAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

/// Size 0 if the text is not an address.
KernelAddress kernel_address(const std::string& address, std::uint16_t port) {
  KernelAddress result;
  auto& four = reinterpret_cast<sockaddr_in&>(result.storage);
  auto& six = reinterpret_cast<sockaddr_in6&>(result.storage);
  if (inet_pton(AF_INET, address.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    result.size = sizeof four;
  } else if (inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) == 1) {
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    result.size = sizeof six;
  }
  return result;
}

Socket make_socket(const KernelAddress& address) {
  if (address.size == 0) return Socket();
  return Socket(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void set(const Socket& socket, int level, int name, int value) {
  setsockopt(socket.get(), level, name, &value, sizeof value);
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    close();
    descriptor_ = other.release();
  }
  return *this;
}

void Socket::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

int Socket::release() {
  const int descriptor = descriptor_;
  descriptor_ = -1;
  return descriptor;
}

std::string Endpoint::text() const {
  const bool six = address.find(':') != std::string::npos;
  return (six ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

std::optional<Endpoint> Endpoint::parse(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  Endpoint result{text.substr(0, colon), 0};
  if (result.address.size() >= 2 && result.address.front() == '[' && result.address.back() == ']')
    result.address = result.address.substr(1, result.address.size() - 2);
  const char* const end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data() + colon + 1, end, result.port);
  if (error != std::errc() || last != end || result.port == 0) return std::nullopt;
  if (kernel_address(result.address, result.port).size == 0) return std::nullopt;
  return result;
}

Socket listen_at(const std::string& address, std::uint16_t& port) {
  KernelAddress where = kernel_address(address, 0);
  Socket socket = make_socket(where);
  if (!socket.open()) return Socket();
  if (where.storage.ss_family == AF_INET6) set(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (bind(socket.get(), where.get(), where.size) != 0 || listen(socket.get(), kBacklog) != 0 ||
      getsockname(socket.get(), where.get(), &where.size) != 0)
    return Socket();
  port = ntohs(where.storage.ss_family == AF_INET
                   ? reinterpret_cast<const sockaddr_in&>(where.storage).sin_port
                   : reinterpret_cast<const sockaddr_in6&>(where.storage).sin6_port);
  return socket;
}

Socket accept_at(const Socket& listening) {
  return Socket(accept4(listening.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

Socket begin_connecting(const Endpoint& to) {
  const KernelAddress where = kernel_address(to.address, to.port);
  Socket socket = make_socket(where);
  if (!socket.open()) return Socket();
  if (connect(socket.get(), where.get(), where.size) != 0 && errno != EINPROGRESS) return Socket();
  return socket;
}

Connecting connecting(const Socket& socket) {
  pollfd ready{socket.get(), POLLOUT, 0};
  if (poll(&ready, 1, 0) != 1) return Connecting::under_way;
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
    return Connecting::failed;
  return Connecting::connected;
}

/// Up to one probe interval may pass before an outage, and another after it, without a sign of life, so the
/// kernel waits two intervals longer than `silence`.
void keep_alive(const Socket& socket, double silence) {
  constexpr double kLongestPause = 15.0;
  constexpr int kMostProbes = 127;      // the kernel's limit
  constexpr double kMostSeconds = 2e6;  // fits an int in milliseconds
  const double pause = std::ceil(std::clamp(0.1 * silence, 1.0, kLongestPause));
  const double all = std::min(silence + 2.0 * pause, kMostSeconds);
  set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(socket, IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(pause));
  set(socket, IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(pause));
  set(socket, IPPROTO_TCP, TCP_KEEPCNT, std::min(static_cast<int>(std::ceil(all / pause)), kMostProbes));
  // This option alone then decides how many probes may go unanswered.
  set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(1000.0 * all));
}

Reading read_some(const Socket& socket, char* to, std::size_t count, std::size_t& got) {
  got = 0;
  const ssize_t read = recv(socket.get(), to, count, MSG_DONTWAIT);
  if (read > 0) {
    got = static_cast<std::size_t>(read);
    return Reading::bytes;
  }
  if (read == 0) return Reading::closed;
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return Reading::nothing;
  return errno == ECONNRESET || errno == EPIPE ? Reading::closed : Reading::timed_out;
}

bool write_now(const Socket& socket, const char* from, std::size_t count) {
  return send(socket.get(), from, count, MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(count);
}

void raise_descriptor_limit(std::uint64_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace outerloop::net
