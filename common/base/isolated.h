#pragma once
// Run a function in a child process, so that a crash or an endless loop of a library stays there.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace outerloop::base {

struct IsolatedResult {
  enum class Outcome {
    finished,  ///< `bytes` is what `make` returned
    crashed,   ///< the child died, or `make` threw
    endless,   ///< the child did not end within a minute, or sent more than it may
  };
  Outcome outcome = Outcome::finished;
  std::vector<std::uint8_t> bytes;
};

/// Calls `make` in a child process and brings back its bytes, at most `most`. A crash or an endless loop ends
/// the child alone; nothing that the child changes is seen here. The child has the calling thread alone, so
/// `make` may not need a lock that another thread may hold. Throws Error where no process can be had.
IsolatedResult run_isolated(const std::function<std::vector<std::uint8_t>()>& make, std::size_t most);

}  // namespace outerloop::base
