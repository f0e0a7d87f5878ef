// The factory that the reference library exports: an engine for a rule.
#include "common/base/error.h"
#include "common/rule/reference/export.h"
#include "common/rule/reference/neuron_local_engine.h"
#include "common/rule/reference/scripted_engine.h"
#include "common/rule/reference/supervised_sgd_engine.h"
#include "common/rule/reference/translated.h"

namespace outerloop::rule::reference {
namespace {

Engine* make(const RuleOptions& rule, const EngineOptions& options) {
  check_rule(rule);
  if (rule.name == "supervised_sgd") return new SupervisedSgdEngine(rule, options);
  if (rule.name == "torchscript") return new ScriptedEngine(rule, options);
  if (rule.name == "neuron_local") return new NeuronLocalEngine(rule, options);
  throw InputError("engine.kind: reference does not know the rule " + rule.name + "; take fused");
}

}  // namespace
}  // namespace outerloop::rule::reference

extern "C" OUTERLOOP_REFERENCE_API outerloop::rule::Engine* outerloop_make_reference_engine(
    const outerloop::rule::RuleOptions* rule, const outerloop::rule::EngineOptions* options) {
  using namespace outerloop::rule::reference;
  return translated([&] { return make(*rule, *options); });
}
