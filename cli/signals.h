#pragma once
// Signals that request a graceful shutdown: SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2.

namespace outerloop::cli {

/// From now on, SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 set a flag, and SIGPIPE and SIGXFSZ are ignored.
/// A SIGHUP that is already ignored, as under nohup, stays ignored.
void catch_signals();

/// Whether such a signal has arrived.
bool signal_received();

}  // namespace outerloop::cli
