#pragma once
// The engine of Oja's rule (common/rule/oja.h has the equations). The example of docs/extending.md.
#include <memory>

#include "common/rule/fused/checked_engine.h"

namespace outerloop::rule::fused {

/// One thread, always in float64, base models of relu alone (InputError for others).
std::unique_ptr<FusedEngine> make_oja(const EngineSetup& setup);

}  // namespace outerloop::rule::fused
