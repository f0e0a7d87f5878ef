#include "common/rule/rules.h"

#include "common/base/error.h"
#include "common/rule/scripted_rule.h"

namespace outerloop::rule {

const std::vector<RuleKind>& rule_kinds() {
  static const std::vector<RuleKind> kinds{
      {"neuron_local", false, neuron_local_theta, neuron_local_phi},
      {"supervised_sgd", true, supervised_sgd_theta, supervised_sgd_phi},
      {"torchscript", false, torchscript_theta, torchscript_phi},
  };
  return kinds;
}

const RuleKind& rule_kind(const std::string& name) {
  std::string known;
  for (const RuleKind& kind : rule_kinds()) {
    if (name == kind.name) return kind;
    known += std::string(known.empty() ? "" : ", ") + kind.name;
  }
  throw InputError("rule.name: unknown rule '" + name + "'; there are " + known);
}

bool supervised(const RuleOptions& rule) {
  return rule.script ? rule.script->supervised : rule_kind(rule.name).supervised;
}

Layout theta_layout(const RuleOptions& rule) { return rule_kind(rule.name).theta_layout(rule); }

Layout phi_layout(const RuleOptions& rule, const Architecture& architecture) {
  return rule_kind(rule.name).phi_layout(rule, architecture);
}

}  // namespace outerloop::rule
