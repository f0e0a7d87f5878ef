#include "cli/signals.h"

#include <csignal>
#include <initializer_list>

namespace outerloop::cli {
namespace {

volatile std::sig_atomic_t received = 0;

}  // namespace

void catch_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int) { received = 1; };
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) sigaction(signal, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file may grow no more: the write fails, and is told of
}

bool signal_received() { return received != 0; }

}  // namespace outerloop::cli
