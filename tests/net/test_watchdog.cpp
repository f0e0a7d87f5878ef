// Deadlines by a virtual clock, and the thread by the real one.
#include <atomic>
#include <chrono>
#include <thread>

#include "common/net/watchdog.h"
#include "tests/catch.h"

using namespace outerloop;

namespace {

/// Checks once a second from `from` to `to`; the second at which the wait became too long, or -1.
double first_overdue(net::WaitLimit& limit, double from, double to) {
  for (double now = from; now <= to; now += 1.0)
    if (limit.check(now)) return now;
  return -1.0;
}

/// Gives what it is told to, after nothing at all.
struct Scripted : net::Transport {
  int rank() const override { return 1; }
  int size() const override { return 2; }
  void send(int, const net::Frame&) override { ++sent; }
  std::optional<net::Received> receive(double) override { return next; }
  bool flush(double) override { return true; }
  std::optional<net::Received> next;
  int sent = 0;
};

}  // namespace

TEST_CASE("a wait is too long once its own deadline has passed, and not before") {
  net::WaitLimit limit(600.0);
  CHECK(first_overdue(limit, 0.0, 5000.0) == -1.0);  // nothing is waited for
  limit.begin("an answer of rank 0", 5000.0);
  CHECK(first_overdue(limit, 5000.0, 5600.0) == -1.0);
  limit.begin("an answer of rank 0", 5600.5);  // it has come, and the next is waited for
  CHECK(first_overdue(limit, 5601.0, 6200.0) == -1.0);
  CHECK(first_overdue(limit, 6201.0, 9000.0) == Approx(6201.0).margin(1.0));
  const auto overdue = limit.check(6203.0);
  REQUIRE(overdue.has_value());
  CHECK(overdue->what == "an answer of rank 0");
  limit.set_deadline(1e6);
  CHECK_FALSE(limit.check(6204.0).has_value());
}

TEST_CASE("hours in which the process itself was stopped do not count") {
  net::WaitLimit limit(600.0);
  limit.begin("the other ranks", 0.0);
  CHECK_FALSE(limit.check(1.0).has_value());
  CHECK_FALSE(limit.check(90000.0).has_value());
  CHECK(first_overdue(limit, 90001.0, 99999.0) == Approx(90000.0 + 600.0 - 6.0).margin(1.5));
}

TEST_CASE("the thread says who waits for what since when, while the main thread is stuck") {
  std::atomic<int> expired{0};
  std::string line;
  {
    net::Watchdog watchdog("rank 7 on here (process 1)", 0.5, [&](const std::string& text) {
      line = text;
      ++expired;
    });
    Scripted scripted;
    net::WatchedTransport transport(scripted, watchdog, "rank 0");
    CHECK_FALSE(transport.receive(0.0).has_value());
    CHECK(transport.timed_out());
    scripted.next = net::Received{0, "x"};
    CHECK(transport.receive(0.0)->bytes == "x");
    CHECK_FALSE(transport.timed_out());
    transport.send(0, {});
    CHECK(scripted.sent == 1);
    watchdog.watch("an answer of rank 0");
    for (int i = 0; i < 100 && expired == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(expired == 1);
  CHECK(line.find("rank 7 on here (process 1) has been waiting for an answer of rank 0 since ") == 0);
  CHECK(line.find(" UTC, longer than watchdog_seconds = 0.5") != std::string::npos);
}

TEST_CASE("one that is fed stays silent, and ends at once") {
  std::atomic<int> expired{0};
  const auto start = std::chrono::steady_clock::now();
  {
    net::Watchdog watchdog("rank 7", 1.5, [&](const std::string&) { ++expired; });
    for (int i = 0; i < 30; ++i) {
      watchdog.watch("the next");
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  CHECK(expired == 0);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}
