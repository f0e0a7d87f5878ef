// Another process's end, noticed without its parent's help.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "common/net/peer_process.h"
#include "tests/catch.h"

using outerloop::net::PeerProcess;
using outerloop::net::PeerProcesses;

namespace {

pid_t sleeping_child() {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0)
    for (;;) pause();
  return child;
}

/// Its here(), told from outside.
std::string place_of(pid_t process) {
  const std::string here = PeerProcess::here();
  return here.substr(0, here.rfind(' ') + 1) + std::to_string(process);
}

}  // namespace

TEST_CASE("a process counts as ended once it is killed, before its parent has taken notice") {
  const pid_t child = sleeping_child();
  const PeerProcess peer(place_of(child));
  CHECK(peer.watched());
  CHECK_FALSE(peer.ended());
  REQUIRE(kill(child, SIGKILL) == 0);
  for (int i = 0; i < 1000 && !peer.ended(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(peer.ended());
  REQUIRE(waitpid(child, nullptr, 0) == child);
  CHECK(peer.ended());
}

TEST_CASE("ranks whose processes have ended are told once, a second after it was seen") {
  const pid_t child = sleeping_child();
  const std::string here = PeerProcess::here(), other = place_of(child);
  PeerProcesses ranks({here, here, "x" + other, other});
  CHECK(ranks.ended(0.0).empty());
  REQUIRE(kill(child, SIGKILL) == 0);
  REQUIRE(waitpid(child, nullptr, 0) == child);
  CHECK(ranks.ended(10.0).empty());
  CHECK(ranks.ended(10.5).empty());
  CHECK(ranks.ended(11.0) == std::vector<int>{3});
  ranks.watch(3, other);  // known already
  CHECK(ranks.ended(20.0).empty());
  CHECK(ranks.ended(22.0).empty());
}

TEST_CASE("a process of another host, or none, is not watched and never ends") {
  const std::string here = PeerProcess::here();
  for (const std::string& where : {"x" + here, std::string(), std::string("1"), std::string(" 1")}) {
    const PeerProcess peer(where);
    CHECK_FALSE(peer.watched());
    CHECK_FALSE(peer.ended());
  }
  const PeerProcess self(here);
  CHECK(self.watched());
  CHECK_FALSE(self.ended());
}

TEST_CASE("a process that is stopped is killed, one that goes on is not") {
  const pid_t child = sleeping_child();
  const PeerProcess peer(place_of(child));
  const auto ended_within = [&](int tenths) {
    for (int i = 0; i < tenths && !peer.ended(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return peer.ended();
  };
  peer.end_if_stopped();
  CHECK_FALSE(ended_within(2));
  REQUIRE(kill(child, SIGSTOP) == 0);
  int status = 0;
  REQUIRE(waitpid(child, &status, WUNTRACED) == child);
  peer.end_if_stopped();
  CHECK(ended_within(100));
  waitpid(child, nullptr, 0);
}

TEST_CASE("the program's file is the one that this process was started from, until it changes") {
  const outerloop::net::ProgramFile program;
  CHECK(program.path().find("test_peer_process") != std::string::npos);
  CHECK_NOTHROW(program.check_unchanged());
}
