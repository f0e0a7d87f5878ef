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
/// for another name, and where this machine or build does not have it, with what it has.
InstructionSet find_instruction_set(const std::string& name);

/// Names that find_instruction_set accepts on this machine, the best first, without "auto".
std::vector<std::string> available_instruction_sets();

/// e.g. "avx512"; where it has none of the names above, Highway's own ("NEON").
std::string instruction_set_name(InstructionSet set);

/// Highway hands out the functions of the best supported target; within the life of this object only `set` is
/// supported. For the functions that return a table of kernels, not for hot paths. Serialised by a lock.
class ForceInstructionSet {
 public:
  explicit ForceInstructionSet(InstructionSet set);
  ~ForceInstructionSet();
  ForceInstructionSet(const ForceInstructionSet&) = delete;
  ForceInstructionSet& operator=(const ForceInstructionSet&) = delete;
};

}  // namespace outerloop::rule::fused
