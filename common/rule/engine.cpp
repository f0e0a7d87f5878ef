#include "common/rule/engine.h"

namespace outerloop::rule {

const char* outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::finished:
      return "finished";
    case Outcome::dead_features:
      return "dead_features";
    case Outcome::not_finite:
      return "not_finite";
  }
  return "unknown";
}

}  // namespace outerloop::rule
