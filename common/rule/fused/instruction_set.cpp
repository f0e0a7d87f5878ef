#include "common/rule/fused/instruction_set.h"

#include <mutex>
#include <utility>

#include "common/base/error.h"
#include "common/rule/fused/targets.h"
#include "hwy/highway.h"

namespace outerloop::rule::fused {
namespace {

/// The accepted names with their targets, the best first.
const std::vector<std::pair<const char*, InstructionSet>>& named_targets() {
  static const std::vector<std::pair<const char*, InstructionSet>> targets = {
#if HWY_ARCH_X86
    {"avx512", HWY_AVX3},
    {"avx2", HWY_AVX2},
    {"sse4", HWY_SSE4},
#endif
    {"baseline", HWY_STATIC_TARGET}
  };
  return targets;
}

/// Compiled in and supported by this processor.
InstructionSet usable() { return (hwy::SupportedTargets() | HWY_STATIC_TARGET) & HWY_TARGETS; }

std::mutex& lock() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

std::vector<std::string> available_instruction_sets() {
  std::vector<std::string> names;
  InstructionSet named = 0;  // the baseline may have another name: avx2 with -march=haswell
  for (const auto& [name, target] : named_targets()) {
    if (usable() & target & ~named) names.push_back(name);
    named |= target;
  }
  return names;
}

InstructionSet find_instruction_set(const std::string& name) {
  const InstructionSet all = usable();
  if (name == "auto") return all & -all;  // the best has the lowest bit
  std::string known;
  for (const auto& [candidate, target] : named_targets()) {
    if (name == candidate && (all & target)) return target;
    if (all & target) known += std::string(", ") + candidate;
  }
  throw InputError("engine.instruction_set: '" + name + "' is not available on this machine; it has auto" +
                   known);
}

std::string instruction_set_name(InstructionSet set) {
  for (const auto& [name, target] : named_targets())
    if (set == target) return name;
  return hwy::TargetName(set);
}

ForceInstructionSet::ForceInstructionSet(InstructionSet set) {
  lock().lock();
  hwy::SetSupportedTargetsForTest(set);
  hwy::GetChosenTarget().Update(set);
}

ForceInstructionSet::~ForceInstructionSet() {
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().DeInit();
  lock().unlock();
}

}  // namespace outerloop::rule::fused
