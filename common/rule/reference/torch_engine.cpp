#include "common/rule/reference/torch_engine.h"

namespace outerloop::rule::reference {
namespace {

Layout checked_theta_layout(const RuleOptions& rule) {
  check_rule(rule);
  return rule::theta_layout(rule);
}

const char* name_of(Precision precision) {
  if (precision == Precision::mixed) return "mixed";
  return precision == Precision::float64 ? "float64" : "float32";
}

}  // namespace

TorchEngine::TorchEngine(const RuleOptions& rule, const EngineOptions& options)
    : rule_(rule),
      theta_layout_(checked_theta_layout(rule)),
      precision_(options.precision),
      threads_(options.threads) {
  check_instruction_set(options.instruction_set);
  tensor_options_ = reference::tensor_options(options);
  check_threads(threads_);
  check_memory_budget(options.memory_budget_mib);
  set_threads(threads_);
  if (tensor_options_.device().is_cpu()) keep_freed_memory();
}

std::string TorchEngine::description() const {
  return std::string("reference ") + name_of(precision_) + " " + tensor_options_.device().str() + ", " +
         std::to_string(threads_) + (threads_ == 1 ? " thread, " : " threads, ") + library_description();
}

}  // namespace outerloop::rule::reference
