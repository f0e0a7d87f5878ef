#pragma once
// Runs a function in a child process, to contain crashes and endless loops of a library.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace outerloop::base {

struct IsolatedResult {
  enum class Outcome {
    finished,  ///< `bytes` is what `make` returned
    crashed,   ///< the child died, or `make` threw
    endless,   ///< the child did not end within a minute, or sent too much
  };
  Outcome outcome = Outcome::finished;
  std::vector<std::uint8_t> bytes;
};

/// Calls `make` in a child process and returns its bytes, at most `most`. A crash or an endless loop ends
/// only the child; the child's changes are invisible here. The child has only the calling thread, so `make`
/// must not need a lock that another thread may hold. Throws Error where no process can be created.
IsolatedResult run_isolated(const std::function<std::vector<std::uint8_t>()>& make, std::size_t most);

}  // namespace outerloop::base
