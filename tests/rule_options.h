#pragma once
// Options of rules and engines for tests: the paper's sizes, and an engine of one thread on the CPU.
#include <cstdlib>
#include <string>

#include "common/rule/engine.h"

namespace outerloop::tests {

inline rule::RuleOptions paper_rule(const std::string& name = "neuron_local") {
  return {name, rule::paper_size(), {1e-6, 0.5}};
}

inline rule::EngineOptions cpu_engine(rule::EngineKind kind = rule::EngineKind::fused,
                                      rule::Precision precision = rule::Precision::float32) {
  return {kind, precision, "cpu", "auto", 1024, 1, 0};
}

/// The device of the cases tagged [.gpu], which CTest runs with the label gpu: cuda, or
/// OUTERLOOP_TEST_DEVICE. Those cases are skipped where it is not there.
inline std::string device_under_test() {
  const char* name = std::getenv("OUTERLOOP_TEST_DEVICE");
  return name != nullptr ? name : "cuda";
}

/// The reference engine on that device.
inline rule::EngineOptions device_engine(rule::Precision precision = rule::Precision::float64) {
  auto options = cpu_engine(rule::EngineKind::reference, precision);
  options.device = device_under_test();
  return options;
}

}  // namespace outerloop::tests
