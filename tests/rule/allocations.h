#pragma once
// Counts what a test program allocates.
#include <cstddef>

namespace outerloop::tests {

/// Calls of operator new so far, on whatever thread. allocations.cpp is to be linked in.
std::size_t allocations();

/// Those that `run` makes.
template <class Run>
std::size_t allocations_of(const Run& run) {
  const std::size_t before = allocations();
  run();
  return allocations() - before;
}

}  // namespace outerloop::tests
