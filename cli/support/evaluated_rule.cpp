#include "cli/support/evaluated_rule.h"

#include "common/base/error.h"
#include "common/rule/engines/make_engine.h"
#include "common/rule/rules.h"

namespace outerloop::cli {

EvaluatedRule read_evaluated_rule(const std::string& path, bool average, bool supervised_too) {
  EvaluatedRule rule;
  rule.file = store::read_rule(path);
  rule.settings = config::settings_of_rule(rule.file.config, path);
  rule.supervised = rule::rule_kind(rule.settings.rule.name).supervised;
  if (rule.supervised && !supervised_too)
    throw InputError(path + ": a rule without labels is needed here; this is " + rule.file.rule +
                     ": outerloop evaluate and figure steps take it");
  rule.averaged = average && !rule.file.theta_average.empty();
  auto engine = rule.settings.engine;
  engine.threads = 1;
  rule.under_test = {[rule = rule.settings.rule, engine] { return rule::make_engine(rule, engine); },
                     rule.averaged ? rule.file.theta_average : rule.file.theta,
                     rule::initial_theta(rule.file.layout, rule.settings.config.seed())};
  return rule;
}

}  // namespace outerloop::cli
