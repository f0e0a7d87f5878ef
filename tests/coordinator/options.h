#pragma once
// Options of a coordinator for tests, which set batch, streams and what they ask about.
#include "coordinator/options.h"

namespace outerloop::tests {

inline coordinator::AdamOptions adam_options(double learning_rate) {
  return {learning_rate, 0.9, 0.999, 1e-8, 0, 0, 0.0};
}

inline coordinator::CoordinatorOptions coordinator_options() {
  coordinator::CoordinatorOptions options;
  options.staleness_bound = 2;
  options.reject_norm = 1e4;
  options.adam = adam_options(1e-3);
  options.step_back = {0.0, 50, 0.5, 5};
  options.max_failures = 16;
  options.deadline = 300.0;
  return options;
}

}  // namespace outerloop::tests
