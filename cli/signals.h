#pragma once
// Signals that ask for a graceful shutdown: SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2.

namespace outerloop::cli {

/// From now on SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 set a flag; SIGPIPE and SIGXFSZ are ignored.
/// A SIGHUP that is ignored already, as under nohup, stays so.
void catch_signals();

/// Whether one has come.
bool signal_received();

}  // namespace outerloop::cli
