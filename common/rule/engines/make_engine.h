#pragma once
// Makes the engine that the options name: fused, or reference from its own library.
#include <memory>

#include "common/rule/engine.h"

namespace outerloop::rule {

/// The reference engine's library is loaded here, and only when it is asked for. Throws InputError for
/// combinations that do not exist (a missing device, fused on cuda, ...).
std::unique_ptr<Engine> make_engine(const RuleOptions& rule, const EngineOptions& options);

}  // namespace outerloop::rule
