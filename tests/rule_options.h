#pragma once
// Options of rules and engines for tests: the paper's sizes, and an engine of one thread on the CPU.
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

}  // namespace outerloop::tests
