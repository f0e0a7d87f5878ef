#include "common/rule/engines/make_engine.h"

#include "common/rule/engines/reference_library.h"
#include "common/rule/fused/engine.h"
#include "common/rule/reference/export.h"

namespace outerloop::rule {

std::unique_ptr<Engine> make_engine(const RuleOptions& rule, const EngineOptions& options) {
  if (options.kind == EngineKind::fused) return fused::make_fused_engine(rule, options);
  static const auto make = reinterpret_cast<decltype(&outerloop_make_reference_engine)>(
      reference_symbol("outerloop_make_reference_engine", "engine.kind: reference"));
  return std::unique_ptr<Engine>(make(&rule, &options));
}

}  // namespace outerloop::rule
