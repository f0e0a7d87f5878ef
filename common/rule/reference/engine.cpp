// The Engine interface on LibTorch, and the one function that the library is loaded for.
#include "common/rule/engine.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <memory>

#include "common/base/error.h"
#include "common/rule/checks.h"
#include "common/rule/reference/bound_rule.h"
#include "common/rule/reference/device.h"
#include "common/rule/reference/export.h"
#include "common/rule/reference/transfer.h"
#include "common/rule/reference/translated.h"

namespace outerloop::rule::reference {
namespace {

/// θ's layout, its sizes checked before anything is multiplied.
Layout checked_theta_layout(const RuleOptions& rule) {
  check_rule(rule);
  return rule::theta_layout(rule);
}

class ReferenceEngine final : public Engine {
 public:
  ReferenceEngine(const RuleOptions& rule, const EngineOptions& options)
      : rule_(rule), theta_layout_(checked_theta_layout(rule)), threads_(options.threads) {
    check_instruction_set(options.instruction_set);
    options_ = tensor_options(options);
    check_threads(threads_);
    set_threads(threads_);
  }

  const RuleOptions& rule() const override { return rule_; }
  const Layout& theta_layout() const override { return theta_layout_; }

  TruncationResult truncation(const Architecture& architecture, const std::vector<double>& theta,
                              const std::vector<double>& phi, const std::vector<StepData>& steps) override {
    check_state(rule_, theta_layout_, architecture, theta, phi);
    check_steps(rule_, architecture, steps);
    return translated([&] { return differentiate(architecture, theta, phi, steps); });
  }

  std::vector<double> unroll(const Architecture& architecture, const std::vector<double>& theta,
                             const std::vector<double>& phi, const std::vector<Batch>& minibatches) override {
    check_state(rule_, theta_layout_, architecture, theta, phi);
    for (std::size_t i = 0; i < minibatches.size(); ++i)
      check_inner(rule_, architecture, minibatches[i], minibatch_name(i));
    return translated([&] {
      const c10::NoGradGuard no_gradient;
      const Layout layout = phi_layout(rule_, architecture);
      const auto bound = bind(architecture, theta, false);
      auto state = load(layout, phi, options_, false);
      for (const auto& batch : minibatches) {
        state = bound->step(state, batch);
        step_done();
      }
      return store(layout, state);
    });
  }

  double meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                        const std::vector<double>& phi, const StepData& step) override {
    check_state(rule_, theta_layout_, architecture, theta, phi);
    check_labelled(rule_, architecture, step, "meta-objective");
    return translated([&] {
      const c10::NoGradGuard no_gradient;
      const auto bound = bind(architecture, theta, false);
      const auto state = load(phi_layout(rule_, architecture), phi, options_, false);
      const auto objective = bound->objective(state, step);
      return objective.dead ? std::nan("") : objective.value.item<double>();
    });
  }

  std::string description() const override {
    return std::string("reference ") + (options_.dtype() == at::kDouble ? "float64 " : "float32 ") +
           options_.device().str() + ", " + std::to_string(threads_) +
           (threads_ == 1 ? " thread, " : " threads, ") + library_description();
  }

  std::string instruction_set() const override { return active_instruction_set(options_.device()); }

 private:
  /// The reverse sweep comes past one of the tensors of φ once a step. On cuda it runs in a thread of its
  /// own.
  void tell_of_sweep(const std::vector<Tensor>& phi) const {
    const Tensor& passed = phi.front();
    if (!options_.device().is_cpu() || !passed.requires_grad()) return;
    passed.register_hook([this](const Tensor&) { step_done(); });
  }

  std::unique_ptr<BoundRule> bind(const Architecture& architecture, const std::vector<double>& theta,
                                  bool differentiable) const {
    return bind_rule(rule_, theta_layout_, architecture, load(theta_layout_, theta, options_, false),
                     differentiable);
  }

  TruncationResult differentiate(const Architecture& architecture, const std::vector<double>& theta,
                                 const std::vector<double>& phi, const std::vector<StepData>& steps) const {
    // 1. θ as the leaves of the graph, φ as constants
    const Layout layout = phi_layout(rule_, architecture);
    const auto leaves = load(theta_layout_, theta, options_, true);
    const auto bound = bind_rule(rule_, theta_layout_, architecture, leaves, true);
    auto state = load(layout, phi, options_, false);

    // 2. k inner steps, each judged by the meta-objective
    TruncationResult result;
    std::vector<Tensor> objectives;
    for (const auto& step : steps) {
      state = bound->step(state, step.inner);
      tell_of_sweep(state);
      const auto objective = bound->objective(state, step);
      if (objective.dead) {
        result.outcome = Outcome::dead_features;
        return result;
      }
      objectives.push_back(objective.value);
      step_done();
    }
    const Tensor mean = at::stack(objectives).mean();
    for (const auto& value : objectives) result.meta_objective.push_back(value.item<double>());
    result.mean_meta_objective = mean.item<double>();
    result.phi = store(layout, state);

    // 3. one reverse sweep
    if (all_finite(result.meta_objective) && all_finite(result.phi)) {
      const auto gradient = torch::autograd::grad({mean}, leaves, {}, false, false, true);
      result.d_theta = store(theta_layout_, gradient);
    }
    drop_unless_finite(result);
    return result;
  }

  RuleOptions rule_;
  Layout theta_layout_;
  int threads_;
  at::TensorOptions options_;
};

}  // namespace
}  // namespace outerloop::rule::reference

extern "C" OUTERLOOP_REFERENCE_API outerloop::rule::Engine* outerloop_make_reference_engine(
    const outerloop::rule::RuleOptions* rule, const outerloop::rule::EngineOptions* options) {
  using namespace outerloop::rule::reference;
  return translated([&] { return new ReferenceEngine(*rule, *options); });
}
