#include "cli/support/evaluated_rule.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "cli/support/rule_module.h"
#include "common/base/error.h"
#include "common/rule/engines/make_engine.h"
#include "common/rule/grow.h"
#include "common/rule/rules.h"

namespace outerloop::cli {

bool lies_in_own_run(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  fs::path folder = fs::weakly_canonical(path, ignored);
  for (int up = 0; up < 3; ++up, folder = folder.parent_path()) {
    struct stat status {};
    const std::string config = (folder / "config.textproto").string();
    if (stat(config.c_str(), &status) == 0) return status.st_uid == geteuid();
  }
  return false;
}

namespace {

/// Gives the rule's base models `features` outputs.
void set_features(EvaluatedRule& rule, std::int64_t features) {
  auto& options = rule.settings.rule;
  auto& units = options.neuron_local.output_units;
  if (features == 0) return;
  if (options.name != "neuron_local")
    throw InputError(fmt::format(
        "--features: {} holds a rule {}; only neuron_local can have more features than in its training",
        rule.path, options.name));
  if (features == units) return;
  if (features % units != 0)
    throw InputError(fmt::format("--features {}: {} was trained with {}; give a multiple, e.g. {}", features,
                                 rule.path, units, (features / units + 1) * units));
  units = features;
  rule.settings.config.mutable_rule()->set_output_units(features);
  const auto layout = rule::theta_layout(options);
  for (auto* theta : {&rule.file.theta, &rule.file.theta_average}) {
    if (theta->empty()) continue;
    auto grown = rule::grow_theta(rule.file.layout, *theta, layout, std::vector<double>(layout.size()));
    OUTERLOOP_CHECK(grown.has_value(), "output units that cannot grow");
    *theta = std::move(*grown);
  }
  rule.file.layout = layout;
  rule.file.config = rule.settings.text_as_written();
}

}  // namespace

EvaluatedRule read_evaluated_rule(const std::string& path, const RuleReading& reading) {
  EvaluatedRule rule;
  rule.file = store::read_rule(path);
  rule.settings = config::settings_of_rule(rule.file.config, path);
  set_module(rule.settings, rule.file, path);
  rule.path = path;
  rule.of_own_run = lies_in_own_run(path);
  if (!rule.of_own_run) {
    rule.settings.config.mutable_tasks()->clear_cache_directory();
    rule.settings.config.mutable_tasks()->clear_resolved_cache_directory();
  }
  rule.supervised = rule::supervised(rule.settings.rule);
  if (rule.supervised && !reading.supervised_too)
    throw InputError(path + ": this command needs a rule without labels; this is " + rule.file.rule +
                     ", which outerloop evaluate and figure steps accept");
  set_features(rule, reading.features);
  rule.averaged = reading.average && !rule.file.theta_average.empty();
  auto engine = rule.settings.engine;
  engine.threads = 1;
  rule.under_test = {[rule = rule.settings.rule, engine] { return rule::make_engine(rule, engine); },
                     rule.averaged ? rule.file.theta_average : rule.file.theta,
                     rule.settings.rule.script
                         ? rule.settings.rule.script->initial_theta
                         : rule::initial_theta(rule.file.layout, rule.settings.config.seed())};
  if (rule.settings.rule.script && rule.supervised) {
    // What has no default in config.proto for a module: the optimizers' learning rates are set by hand.
    rule::RuleOptions sgd;
    sgd.name = "supervised_sgd";
    sgd.supervised_sgd = {1e-3, 0.5};
    rule.under_test.make_sgd_engine = [sgd, engine] { return rule::make_engine(sgd, engine); };
  }
  return rule;
}

}  // namespace outerloop::cli
