#pragma once
// Base class of the engines on LibTorch: rule, layout, device and precision.
#include <ATen/ATen.h>

#include <string>

#include "common/rule/checks.h"
#include "common/rule/engine.h"
#include "common/rule/reference/device.h"

namespace outerloop::rule::reference {

class TorchEngine : public Engine {
 public:
  /// Throws InputError for unavailable options. Checks θ's sizes before any multiplication.
  TorchEngine(const RuleOptions& rule, const EngineOptions& options);

  const RuleOptions& rule() const override { return rule_; }
  const Layout& theta_layout() const override { return theta_layout_; }
  std::string description() const override;
  std::string instruction_set() const override { return active_instruction_set(tensor_options_.device()); }

 protected:
  const at::TensorOptions& tensor_options() const { return tensor_options_; }

 private:
  RuleOptions rule_;
  Layout theta_layout_;
  Precision precision_;
  int threads_;
  at::TensorOptions tensor_options_;
};

}  // namespace outerloop::rule::reference
