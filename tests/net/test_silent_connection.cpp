// The silent connection over loopback: workers that come and end, and strangers that mean ill.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <ctime>
#include <thread>

#include "common/base/error.h"
#include "common/base/isolated.h"
#include "common/net/silent_connection.h"
#include "common/net/silent_greeting.h"
#include "common/net/transport.h"
#include "tests/catch.h"

using namespace outerloop;
using namespace outerloop::net;

namespace {

constexpr int kLooks = 2000;  // a millisecond apart

void pause_briefly() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

/// Looks until `condition` holds; whether it came to.
template <class Condition>
bool comes(SilentListener& listener, const Condition& condition,
           std::vector<SilentListener::End>* ends = nullptr) {
  const SteadyClock clock;
  for (int i = 0; i < kLooks; ++i) {
    for (const auto& end : listener.look(clock.now()))
      if (ends != nullptr) ends->push_back(end);
    if (condition()) return true;
    pause_briefly();
  }
  return false;
}

/// Both sides look in turn, as two processes do in a run.
bool connects(SilentListener& listener, SilentConnection& connection) {
  connection.connect(0.01);
  return comes(listener, [&] { return !connection.ended() && connection.confirmed(); });
}

std::uint16_t port_of(const SilentListener& listener) {
  return Endpoint::parse(listener.meeting_point().endpoints.front())->port;
}

/// A client's socket that waits, as a stranger's program has it.
int stranger(const SilentListener& listener) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port_of(listener));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  return socket;
}

std::string greeting_of(const SilentListener& listener, CallerNumber caller) {
  std::string greeting = kGreetingMagic + listener.meeting_point().token.substr(0, kHalfToken) + "12345678";
  put_number(caller, &greeting[kMagicBytes + kHalfToken]);
  return greeting;
}

/// What the other side has said before it closed; empty where it only closed, or reset the connection.
std::string said_to(int socket) {
  std::string all;
  char part[256];
  for (ssize_t got = 0; (got = recv(socket, part, sizeof part, 0)) > 0;)
    all.append(part, static_cast<std::size_t>(got));
  return all;
}

int open_descriptors() {
  int count = 0;
  for (int descriptor = 0; descriptor < 4096; ++descriptor) count += fcntl(descriptor, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("a worker connects, and the end of its side is told once") {
  SilentListener listener({"127.0.0.1"});
  listener.bind(3, 3);
  CHECK_FALSE(listener.worker_came(3));
  std::vector<SilentListener::End> ends;
  {
    SilentConnection connection(listener.meeting_point(), 3);
    REQUIRE(connects(listener, connection));
    CHECK(listener.stands(3));
    CHECK(listener.worker_stands(3));
    CHECK(listener.strangers() == 0);
    CHECK_FALSE(connection.ended());
    CHECK(listener.look(0.0).empty());
  }
  REQUIRE(comes(
      listener, [&] { return !ends.empty(); }, &ends));
  CHECK(ends.front().worker == 3);
  CHECK(ends.front().how == ConnectionEnd::closed);
  CHECK_FALSE(listener.worker_stands(3));
  CHECK(listener.worker_came(3));
  CHECK(listener.look(0.0).empty());
}

TEST_CASE("the connections of 512 workers cost rank 0 less than a hundredth of a core") {
  constexpr int kWorkers = 512;
  constexpr double kLooksPerSecond = 5.0;  // of the coordinator's event loop
  raise_descriptor_limit(2 * kWorkers + 256);
  SilentListener listener({"127.0.0.1"});
  std::vector<SilentConnection> connections;
  for (int worker = 1; worker <= kWorkers; ++worker) {
    listener.bind(static_cast<CallerNumber>(worker), worker);
    connections.emplace_back(listener.meeting_point(), static_cast<CallerNumber>(worker));
    REQUIRE(connects(listener, connections.back()));
  }
  const auto processor_seconds = [] {
    timespec used{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
  };
  constexpr int kMeasured = 500;
  const double before = processor_seconds();
  for (int i = 0; i < kMeasured; ++i) CHECK(listener.look(0.001 * i).empty());
  const double share = (processor_seconds() - before) / kMeasured * kLooksPerSecond;
  WARN("512 silent connections take " << 100.0 * share << " % of a core");
  CHECK(share < 0.01);
}

TEST_CASE("a worker sees the end of rank 0") {
  auto listener = std::make_unique<SilentListener>(std::vector<std::string>{"127.0.0.1"});
  SilentConnection connection(listener->meeting_point(), 1);
  REQUIRE(connects(*listener, connection));
  CHECK_FALSE(connection.ended());
  listener.reset();
  for (int i = 0; i < kLooks && !connection.ended(); ++i) pause_briefly();
  REQUIRE(connection.ended());
  CHECK(*connection.ended() == ConnectionEnd::closed);
}

TEST_CASE("a killed process has ended its connection at once, and a stopped one has not") {
  SilentListener listener({"127.0.0.1"});
  listener.bind(2, 2);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    SilentConnection connection(listener.meeting_point(), 2);
    connection.connect();
    for (;;) pause();
  }
  std::vector<SilentListener::End> ends;
  REQUIRE(comes(
      listener, [&] { return listener.worker_stands(2); }, &ends));
  REQUIRE(kill(child, SIGSTOP) == 0);
  for (int i = 0; i < 100; ++i, pause_briefly()) CHECK(listener.look(0.0).empty());
  REQUIRE(kill(child, SIGKILL) == 0);
  CHECK(comes(
      listener, [&] { return !ends.empty(); }, &ends));
  REQUIRE(waitpid(child, nullptr, 0) == child);
}

TEST_CASE("a process that a worker has forked does not keep its connection open") {
  SilentListener listener({"127.0.0.1"});
  listener.bind(2, 2);
  SilentConnection connection(listener.meeting_point(), 2);
  REQUIRE(connects(listener, connection));
  // The child counts the sockets of the internet that it still has.
  const auto result = base::run_isolated(
      [] {
        std::uint8_t count = 0;
        for (int descriptor = 0; descriptor < 4096; ++descriptor) {
          int family = 0;
          socklen_t size = sizeof family;
          if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && family == AF_INET)
            ++count;
        }
        return std::vector<std::uint8_t>{count};
      },
      100);
  CHECK(result.bytes == std::vector<std::uint8_t>{0});
  CHECK(listener.look(0.0).empty());
  CHECK_FALSE(connection.ended());
}

TEST_CASE("of several addresses those are taken where rank 0 is") {
  SilentListener listener({"127.0.0.1", "127.0.0.2", "no address"});
  REQUIRE(listener.meeting_point().endpoints.size() == 2);
  listener.bind(1, 1);
  // Another program listens and is silent; nobody listens; a third speaks, but is not rank 0.
  SilentListener other({"127.0.0.3", "127.0.0.4"});
  MeetingPoint point = listener.meeting_point();
  point.endpoints.insert(point.endpoints.begin(), {other.meeting_point().endpoints.front(), "127.0.0.9:1"});
  SilentConnection connection(point, 1);
  REQUIRE(connects(listener, connection));
  for (int i = 0; i < 50; ++i, pause_briefly()) CHECK(listener.look(0.0).empty());
  CHECK(listener.worker_stands(1));
  CHECK_FALSE(connection.ended());
}

TEST_CASE("where nobody answers the worker goes on without, after the time that it has") {
  const SteadyClock clock;
  MeetingPoint nowhere = SilentListener({"127.0.0.1"}).meeting_point();
  SilentConnection refused(nowhere, 1);
  const double start = clock.now();
  CHECK_FALSE(refused.connect());
  CHECK(clock.now() - start < 2.0);  // all have failed: there is nothing to wait for
  CHECK_FALSE(refused.ended());

  SilentListener busy({"127.0.0.1"});
  SilentConnection late(busy.meeting_point(), 1);
  CHECK_FALSE(late.connect(0.1));
  CHECK_FALSE(late.ended());
  // Rank 0 answers after all.
  REQUIRE(comes(busy, [&] { return !late.ended() && late.confirmed(); }));
  CHECK(busy.stands(1));
}

TEST_CASE("an answer without the token's other half is no rank 0") {
  SilentListener listener({"127.0.0.1"});
  MeetingPoint wrong = listener.meeting_point();
  wrong.token.back() = wrong.token.back() == '0' ? '1' : '0';
  SilentConnection connection(wrong, 1);
  connection.connect(0.01);
  comes(listener, [&] { return !connection.ended() && listener.stands(1); });
  for (int i = 0; i < 50; ++i, pause_briefly()) CHECK_FALSE(connection.ended());
  CHECK_FALSE(connection.confirmed());
}

TEST_CASE("a caller that comes late gets its worker's number whenever that is known") {
  SilentListener listener({"127.0.0.1"});
  const CallerNumber early = draw_caller_number(), late = draw_caller_number();
  CHECK(early != late);
  SilentConnection first(listener.meeting_point(), early), second(listener.meeting_point(), late);
  REQUIRE(connects(listener, first));
  listener.bind(early, 7);
  listener.bind(late, 8);
  CHECK(listener.worker_stands(7));
  CHECK_FALSE(listener.worker_came(8));
  REQUIRE(connects(listener, second));
  CHECK(listener.worker_stands(8));
}

TEST_CASE("strangers get no answer, two seconds, and 64 places") {
  SilentListener listener({"127.0.0.1"});
  listener.bind(1, 1);
  std::vector<int> silent;
  for (std::size_t i = 0; i < SilentListener::kMostStrangers + 10; ++i) silent.push_back(stranger(listener));
  double now = 0.0;
  CHECK(listener.look(now).empty());
  CHECK(listener.strangers() == SilentListener::kMostStrangers);
  const int descriptors = open_descriptors();
  for (int i = 0; i < 100; ++i) listener.look(now += 0.01);
  CHECK(listener.strangers() == SilentListener::kMostStrangers);
  CHECK(open_descriptors() == descriptors);
  listener.look(now += 1.5);  // their time is over, and the ten others' begins
  listener.look(now += 0.1);
  CHECK(listener.strangers() == 10);
  CHECK(said_to(silent.front()).empty());
  listener.look(now += 2.1);
  CHECK(listener.strangers() == 0);
  for (const int socket : silent) close(socket);

  // A worker that waited behind them is let in.
  SilentConnection connection(listener.meeting_point(), 1);
  CHECK(connects(listener, connection));
}

TEST_CASE("wrong tokens, other protocols, half greetings and floods are closed without an answer") {
  SilentListener listener({"127.0.0.1"});
  listener.bind(1, 1);
  const std::string good = greeting_of(listener, 1);
  std::vector<std::string> texts = {"GET / HTTP/1.1\r\nHost: example\r\nAccept: */*\r\n\r\n",
                                    std::string(1 << 16, '\0'),
                                    std::string(kMagicBytes + kHalfToken + 8, '0')};
  for (const std::size_t at : {std::size_t{0}, kMagicBytes, kMagicBytes + kHalfToken - 1}) {
    texts.push_back(good);
    texts.back()[at] ^= 1;
  }
  for (const auto& text : texts) {
    const int socket = stranger(listener);
    fcntl(socket, F_SETFL, O_NONBLOCK);
    static_cast<void>(send(socket, text.data(), text.size(), MSG_NOSIGNAL));
    fcntl(socket, F_SETFL, 0);
    for (int i = 0; i < 50; ++i, pause_briefly()) CHECK(listener.look(0.0).empty());
    CHECK(listener.strangers() == 0);
    CHECK_FALSE(listener.stands(1));
    CHECK(said_to(socket).empty());
    close(socket);
  }
  // One byte at a time, and then no more; the other half comes too late.
  const int slow = stranger(listener);
  REQUIRE(send(slow, good.data(), 20, MSG_NOSIGNAL) == 20);
  double now = 100.0;
  for (int i = 0; i < 50 && listener.strangers() == 0; ++i, pause_briefly()) listener.look(now);
  for (int i = 0; i < 30; ++i) listener.look(now += 0.1);
  CHECK(listener.strangers() == 0);
  CHECK(said_to(slow).empty());
  close(slow);
  CHECK_FALSE(listener.stands(1));

  // In pieces, but in time.
  const int pieces = stranger(listener);
  for (const char byte : good) {
    REQUIRE(send(pieces, &byte, 1, MSG_NOSIGNAL) == 1);
    listener.look(now += 0.01);
  }
  REQUIRE(comes(listener, [&] { return listener.stands(1); }));
  // What is said on it from then on changes nothing.
  const std::string noise(100000, 'x');
  fcntl(pieces, F_SETFL, O_NONBLOCK);
  static_cast<void>(send(pieces, noise.data(), noise.size(), MSG_NOSIGNAL));
  for (int i = 0; i < 20; ++i) CHECK(listener.look(now).empty());
  CHECK(listener.worker_stands(1));
  close(pieces);
}

TEST_CASE("without descriptors left the listener waits until there are some") {
  SilentListener listener({"127.0.0.1"});
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int socket = stranger(listener);
  const rlimit none{3, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  CHECK(listener.look(0.0).empty());
  CHECK(listener.strangers() == 0);
  raise_descriptor_limit(before.rlim_cur);
  rlimit after{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &after) == 0);
  CHECK(after.rlim_cur == before.rlim_cur);
  CHECK(comes(listener, [&] { return listener.strangers() == 1; }));
  close(socket);
}

TEST_CASE("where rank 0 is to be reached is read as it was written, and nothing else is") {
  SilentListener listener({"127.0.0.1", "::1"});
  const auto& point = listener.meeting_point();
  const MeetingPoint read = MeetingPoint::parse(point.text());
  CHECK(read.token == point.token);
  CHECK(read.endpoints == point.endpoints);
  for (const std::string& text :
       {std::string(), std::string("short 127.0.0.1:1"), point.token + " 127.0.0.1",
        point.token + " 127.0.0.1:0", point.token + " 127.0.0.1:65536", point.token + " host:1",
        point.token + " 127.0.0.1:1x", std::string(64, 'g') + " 127.0.0.1:1"})
    CHECK_THROWS_AS(MeetingPoint::parse(text), InputError);
  CHECK(Endpoint::parse("[fd00::7]:4711")->address == "fd00::7");
  CHECK((Endpoint{"fd00::7", 4711}).text() == "[fd00::7]:4711");
  CHECK_THROWS_AS(SilentListener({"no address"}), Error);
}
