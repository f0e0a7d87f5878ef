#include "coordinator/refusal.h"

namespace outerloop::coordinator {

const char* name_of(Refusal cause) {
  switch (cause) {
    case Refusal::none:
      return "none";
    case Refusal::stale:
      return "stale";
    case Refusal::duplicate:
      return "duplicate";
    case Refusal::dead_features:
      return "dead_features";
    case Refusal::not_finite:
      return "not_finite";
    case Refusal::layout:
      return "layout";
    case Refusal::norm:
      return "norm";
  }
  return "none";
}

}  // namespace outerloop::coordinator
