#pragma once
// Choice of the instruction set: AVX-512, AVX2, SSE4, baseline. Kernels are compiled once for each (Highway's
// foreach_target) and handed out as tables of functions; the choice is made once, when an engine is made.
#include <cstdint>
#include <string>
#include <vector>

namespace outerloop::rule::fused {

/// A Highway target, one bit.
using InstructionSet = std::int64_t;

/// auto | avx512 | avx2 | sse4 | baseline (what every processor of this architecture has). Throws InputError
/// for any other name and for a set that this machine or build lacks; the error lists the sets that exist.
InstructionSet find_instruction_set(const std::string& name);

/// The sets of this machine by name, the best first. Where the compiler's own target is one of them (with
/// -march=haswell AVX2 is), it is listed by that name; find_instruction_set accepts "baseline", too.
std::vector<std::string> available_instruction_sets();

/// Its name, e.g. "avx512"; Highway's own name ("NEON") for a set without one of the names above.
std::string instruction_set_name(InstructionSet set);

/// Highway returns the functions of the best supported target; during the lifetime of this object only `set`
/// counts as supported. Meant for the functions that return a table of kernels, not for hot paths. Serialised
/// by a lock.
class ForceInstructionSet {
 public:
  explicit ForceInstructionSet(InstructionSet set);
  ~ForceInstructionSet();
  ForceInstructionSet(const ForceInstructionSet&) = delete;
  ForceInstructionSet& operator=(const ForceInstructionSet&) = delete;
};

}  // namespace outerloop::rule::fused
