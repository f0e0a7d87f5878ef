#include "coordinator/stop_reason.h"

namespace outerloop::coordinator {

const char* stop_reason_name(StopReason reason) {
  switch (reason) {
    case StopReason::none:
      return "none";
    case StopReason::updates:
      return "updates";
    case StopReason::seconds:
      return "seconds";
    case StopReason::signal:
      return "signal";
    case StopReason::failures:
      return "failures";
    case StopReason::disk:
      return "disk";
    case StopReason::diverged:
      return "diverged";
    case StopReason::mpi:
      return "mpi";
  }
  return "none";
}

}  // namespace outerloop::coordinator
