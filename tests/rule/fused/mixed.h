#pragma once
// Whether this machine must support precision `mixed`, according to the system rather than the engine.
// Sanitized builds have no AVX-512 (common/rule/fused/targets.h).
#include <fstream>
#include <string>

namespace outerloop::tests {

inline bool mixed_available() {
#if defined(__x86_64__) && !defined(OUTERLOOP_SANITIZED) && (defined(__clang__) || __GNUC__ >= 11)
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("flags", 0) == 0) return (line + " ").find(" avx512_bf16 ") != std::string::npos;
#endif
  return false;
}

}  // namespace outerloop::tests
