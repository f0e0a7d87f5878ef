#pragma once
// Base class of the fused engines: keeps rule, options and layout, and checks all arguments.
#include <string>
#include <vector>

#include "common/rule/checks.h"
#include "common/rule/fused/engine.h"
#include "common/rule/fused/instruction_set.h"

namespace outerloop::rule::fused {

/// The arguments that an engine is made from; rule and options are checked.
struct EngineSetup {
  const RuleOptions& rule;
  const EngineOptions& options;
  InstructionSet instruction_set;
};

/// A rule overrides the three protected functions.
class CheckedEngine : public FusedEngine {
 public:
  /// `threads`: the number that the rule computes with, whatever the options allow.
  CheckedEngine(const EngineSetup& setup, int threads)
      : rule_(setup.rule),
        theta_layout_(rule::theta_layout(setup.rule)),
        instruction_set_(instruction_set_name(setup.instruction_set)),
        precision_(setup.options.precision),
        threads_(threads) {}

  const RuleOptions& rule() const override { return rule_; }
  const Layout& theta_layout() const override { return theta_layout_; }
  std::string instruction_set() const override { return instruction_set_; }
  std::string description() const override {
    return std::string("fused ") + precision_name() + " cpu, " + std::to_string(threads_) +
           (threads_ == 1 ? " thread, " : " threads, ") + instruction_set_;
  }
  std::int64_t arena_bytes() const override { return 0; }
  void set_profiler(Profiler*) override {}  // its time is not broken down

  TruncationResult truncation(const Architecture& architecture, const std::vector<double>& theta,
                              const std::vector<double>& phi, const std::vector<StepData>& steps) override {
    check_state(rule_, theta_layout_, architecture, theta, phi);
    check_steps(rule_, architecture, steps);
    return checked_truncation(architecture, theta, phi, steps);
  }

  std::vector<double> unroll(const Architecture& architecture, const std::vector<double>& theta,
                             const std::vector<double>& phi, const std::vector<Batch>& minibatches) override {
    check_state(rule_, theta_layout_, architecture, theta, phi);
    for (std::size_t i = 0; i < minibatches.size(); ++i)
      check_inner(rule_, architecture, minibatches[i], minibatch_name(i));
    return checked_unroll(architecture, theta, phi, minibatches);
  }

  double meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                        const std::vector<double>& phi, const StepData& step) override {
    check_state(rule_, theta_layout_, architecture, theta, phi);
    check_labelled(rule_, architecture, step, "meta-objective");
    return checked_meta_objective(architecture, theta, phi, step);
  }

 protected:
  /// As the Engine functions that call them, with sizes already checked.
  virtual TruncationResult checked_truncation(const Architecture& architecture,
                                              const std::vector<double>& theta,
                                              const std::vector<double>& phi,
                                              const std::vector<StepData>& steps) = 0;
  virtual std::vector<double> checked_unroll(const Architecture& architecture,
                                             const std::vector<double>& theta, const std::vector<double>& phi,
                                             const std::vector<Batch>& minibatches) = 0;
  virtual double checked_meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                                        const std::vector<double>& phi, const StepData& step) = 0;

 private:
  const char* precision_name() const {
    if (precision_ == Precision::mixed) return "mixed";
    return precision_ == Precision::float64 ? "float64" : "float32";
  }

  RuleOptions rule_;
  Layout theta_layout_;
  std::string instruction_set_;
  Precision precision_;
  int threads_;
};

}  // namespace outerloop::rule::fused
