#include "common/rule/reference/supervised_sgd_engine.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "common/rule/reference/transfer.h"
#include "common/rule/reference/translated.h"

namespace outerloop::rule::reference {

TruncationResult SupervisedSgdEngine::truncation(const Architecture& architecture,
                                                 const std::vector<double>& theta,
                                                 const std::vector<double>& phi,
                                                 const std::vector<StepData>& steps) {
  check_state(rule(), theta_layout(), architecture, theta, phi);
  check_steps(rule(), architecture, steps);
  return translated([&] { return differentiate(architecture, theta, phi, steps); });
}

std::vector<double> SupervisedSgdEngine::unroll(const Architecture& architecture,
                                                const std::vector<double>& theta,
                                                const std::vector<double>& phi,
                                                const std::vector<Batch>& minibatches) {
  check_state(rule(), theta_layout(), architecture, theta, phi);
  for (std::size_t i = 0; i < minibatches.size(); ++i)
    check_inner(rule(), architecture, minibatches[i], minibatch_name(i));
  return translated([&] {
    const c10::NoGradGuard no_gradient;
    const Layout layout = rule::phi_layout(rule(), architecture);
    const SupervisedSgd sgd(load(theta_layout(), theta, tensor_options(), false));
    auto state = load(layout, phi, tensor_options(), false);
    for (const auto& batch : minibatches) {
      state = step(sgd, architecture, state, batch, false);
      step_done();
    }
    return store(layout, state);
  });
}

double SupervisedSgdEngine::meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                                           const std::vector<double>& phi, const StepData& step) {
  check_state(rule(), theta_layout(), architecture, theta, phi);
  check_labelled(rule(), architecture, step, "meta-objective");
  return translated([&] {
    const c10::NoGradGuard no_gradient;
    const auto state = load(rule::phi_layout(rule(), architecture), phi, tensor_options(), false);
    return loss(architecture, state, step.b).item<double>();
  });
}

SupervisedSgdEngine::State SupervisedSgdEngine::step(const SupervisedSgd& sgd,
                                                     const Architecture& architecture, const State& phi,
                                                     const Batch& inner, bool differentiable) const {
  return sgd.step(phi, inputs(inner), labels(architecture, inner), architecture.nonlinearity, differentiable);
}

Tensor SupervisedSgdEngine::loss(const Architecture& architecture, const State& phi,
                                 const Batch& batch) const {
  return SupervisedSgd::loss(phi, inputs(batch), labels(architecture, batch), architecture.nonlinearity);
}

Tensor SupervisedSgdEngine::inputs(const Batch& batch) const {
  return load(batch.x, batch.examples, batch.inputs, tensor_options());
}

/// One-hot labels; outputs beyond the task's classes stand for classes that never occur.
Tensor SupervisedSgdEngine::labels(const Architecture& architecture, const Batch& batch) const {
  const Tensor y = load(batch.y, batch.examples, batch.targets, tensor_options());
  return at::constant_pad_nd(y, {0, architecture.outputs() - batch.targets});
}

/// Reports progress of the reverse sweep, which reaches each tensor of φ once a step. Not on cuda, where the
/// sweep runs on a thread of its own.
void SupervisedSgdEngine::tell_of_sweep(const State& phi) const {
  const Tensor& passed = phi.front();
  if (!tensor_options().device().is_cpu() || !passed.requires_grad()) return;
  passed.register_hook([this](const Tensor&) { step_done(); });
}

TruncationResult SupervisedSgdEngine::differentiate(const Architecture& architecture,
                                                    const std::vector<double>& theta,
                                                    const std::vector<double>& phi,
                                                    const std::vector<StepData>& steps) const {
  // 1. θ as the leaves of the graph, φ as constants
  const Layout layout = rule::phi_layout(rule(), architecture);
  const auto leaves = load(theta_layout(), theta, tensor_options(), true);
  const SupervisedSgd sgd(leaves);
  auto state = load(layout, phi, tensor_options(), false);

  // 2. k inner steps, each scored by the meta-objective
  TruncationResult result;
  std::vector<Tensor> objectives;
  for (const auto& data : steps) {
    state = step(sgd, architecture, state, data.inner, true);
    tell_of_sweep(state);
    objectives.push_back(loss(architecture, state, data.b));
    step_done();
  }
  const Tensor mean = at::stack(objectives).mean();
  for (const auto& value : objectives) result.meta_objective.push_back(value.item<double>());
  result.mean_meta_objective = mean.item<double>();
  result.phi = store(layout, state);

  // 3. one reverse sweep
  if (all_finite(result.meta_objective) && all_finite(result.phi)) {
    const auto gradient = torch::autograd::grad({mean}, leaves, {}, false, false, true);
    result.d_theta = store(theta_layout(), gradient);
  }
  drop_unless_finite(result);
  return result;
}

}  // namespace outerloop::rule::reference
