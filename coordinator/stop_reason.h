#pragma once
// Why a run ended: `stop_reason` of result.json, see docs/run-directory.md.

namespace outerloop::coordinator {

enum class StopReason { none, updates, seconds, signal, failures, disk, diverged, mpi };
const char* stop_reason_name(StopReason reason);

/// Whether the run has reached its limit of updates or seconds.
inline bool is_limit(StopReason reason) {
  return reason == StopReason::updates || reason == StopReason::seconds;
}

}  // namespace outerloop::coordinator
