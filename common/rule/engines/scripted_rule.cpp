#include "common/rule/engines/scripted_rule.h"

#include "common/base/error.h"
#include "common/rule/engines/reference_library.h"
#include "common/rule/reference/export.h"

namespace outerloop::rule {

std::shared_ptr<const ScriptedRule> read_scripted_rule(const std::string& bytes, const std::string& name) {
  static const auto read = reinterpret_cast<decltype(&outerloop_read_module)>(
      reference_symbol("outerloop_read_module", "rule.name: torchscript: LibTorch"));
  const auto rule = std::make_shared<ScriptedRule>();
  read(&bytes, &name, rule.get());
  return rule;
}

std::string scripted_module_of(const ScriptedRule& rule, const std::vector<double>& theta,
                               const std::string& metadata) {
  static const auto write = reinterpret_cast<decltype(&outerloop_write_module)>(
      reference_symbol("outerloop_write_module", "--torchscript: LibTorch"));
  OUTERLOOP_CHECK(static_cast<std::int64_t>(theta.size()) == rule.theta.size(),
                  std::to_string(theta.size()) + " values of θ for " + std::to_string(rule.theta.size()));
  std::string bytes;
  write(&rule, &theta, &metadata, &bytes);
  return bytes;
}

}  // namespace outerloop::rule
