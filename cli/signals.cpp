#include "cli/signals.h"

#include <csignal>
#include <cstdlib>
#include <initializer_list>
#include <string>

namespace outerloop::cli {
namespace {

volatile std::sig_atomic_t received = 0;

bool hangup_is_ignored_now() {
  struct sigaction now = {};
  return sigaction(SIGHUP, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

#ifndef OUTERLOOP_SANITIZED
/// Whether SIGHUP was ignored when the process started.
bool ignored_at_start = false;

void look_at_hangup(int, char**, char**) { ignored_at_start = hangup_is_ignored_now(); }

// Before the constructors of shared libraries: UCX, which Open MPI loads on Debian 13, takes SIGHUP in its
// own.
[[gnu::section(".preinit_array"), gnu::used]] void (*look_at_start)(int, char**, char**) = look_at_hangup;
#else
constexpr bool ignored_at_start = false;
#endif

/// Whether nohup started the run, which must then outlive its terminal. mpirun resets the action for its
/// ranks, so scripts/mpirun passes this on in the environment.
bool hangup_is_ignored() {
  const char* handed_on = std::getenv("OUTERLOOP_NOHUP");
  if (ignored_at_start || (handed_on != nullptr && std::string(handed_on) == "1"))
    std::signal(SIGHUP, SIG_IGN);
  return hangup_is_ignored_now();
}

}  // namespace

void catch_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int) { received = 1; };
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) sigaction(signal, &action, nullptr);
  if (!hangup_is_ignored()) sigaction(SIGHUP, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // at a limit on file size the write fails, and is reported
}

bool signal_received() { return received != 0; }

}  // namespace outerloop::cli
