#pragma once
// Counts the memory allocations of a test program.
#include <cstddef>

namespace outerloop::tests {

/// Calls of operator new so far, on any thread. Requires linking allocations.cpp.
std::size_t allocations();

/// The calls made by `run`.
template <class Run>
std::size_t allocations_of(const Run& run) {
  const std::size_t before = allocations();
  run();
  return allocations() - before;
}

}  // namespace outerloop::tests
