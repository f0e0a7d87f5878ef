#include "common/rule/engine.h"

#include "common/rule/fused/engine.h"
#include "common/rule/reference_library.h"

namespace outerloop::rule {

const char* outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::finished:
      return "finished";
    case Outcome::dead_features:
      return "dead_features";
    case Outcome::not_finite:
      return "not_finite";
  }
  return "unknown";
}

std::unique_ptr<Engine> make_engine(const RuleOptions& rule, const EngineOptions& options) {
  if (options.kind == EngineKind::fused) return fused::make_fused_engine(rule, options);
  static const auto make = reinterpret_cast<decltype(&outerloop_make_reference_engine)>(
      reference_symbol("outerloop_make_reference_engine", "engine.kind: reference"));
  return std::unique_ptr<Engine>(make(&rule, &options));
}

}  // namespace outerloop::rule
