#pragma once
// Makes the engine that the options name: fused, or reference from its own library.
#include <memory>

#include "common/rule/engine.h"

namespace outerloop::rule {

/// Loads the reference engine's library if that engine is requested, and only then. Throws InputError for
/// combinations that do not exist (a missing device, fused on cuda, ...).
std::unique_ptr<Engine> make_engine(const RuleOptions& rule, const EngineOptions& options);

}  // namespace outerloop::rule
