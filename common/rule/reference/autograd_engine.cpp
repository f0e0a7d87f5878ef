#include "common/rule/reference/autograd_engine.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <limits>

#include "common/rule/reference/transfer.h"
#include "common/rule/reference/translated.h"
#include "common/rule/rules.h"

namespace outerloop::rule::reference {
namespace {

/// A flag that is set for as long as this object lives.
class Raised {
 public:
  explicit Raised(bool& flag) : flag_(flag) { flag_ = true; }
  ~Raised() { flag_ = false; }
  Raised(const Raised&) = delete;
  Raised& operator=(const Raised&) = delete;

 private:
  bool& flag_;
};

}  // namespace

Tensor AutogradEngine::inputs(const Batch& batch) const {
  return load(batch.x, batch.examples, batch.inputs, tensor_options());
}

Tensor AutogradEngine::labels(const Architecture& architecture, const Batch& batch) const {
  const Tensor y = load(batch.y, batch.examples, batch.targets, tensor_options());
  if (!supervised(rule())) return y;
  return at::constant_pad_nd(y, {0, architecture.outputs() - batch.targets});
}

AutogradEngine::State AutogradEngine::leaves(const Layout& layout, const std::vector<double>& phi) const {
  return load(layout, phi, tensor_options(), true);
}

/// The reverse sweep reaches a tensor of φ once a step. On cuda it runs on a thread of its own; and a rule
/// may differentiate inside of a step.
void AutogradEngine::tell_of_sweep(const State& phi) {
  const Tensor& passed = phi.front();
  if (!tensor_options().device().is_cpu() || !passed.requires_grad()) return;
  passed.register_hook([this](const Tensor&) {
    if (sweeping_) step_done();
  });
}

/// ∂ mean / ∂θ; empty where no parameter has a part in it.
std::vector<double> AutogradEngine::sweep(const Tensor& mean, const std::vector<Tensor>& theta) {
  if (!mean.requires_grad()) return {};
  const Raised sweeping(sweeping_);
  auto gradient = torch::autograd::grad({mean}, theta, {}, false, false, true);
  const auto undefined = [](const Tensor& tensor) { return !tensor.defined(); };
  if (std::all_of(gradient.begin(), gradient.end(), undefined)) return {};
  const auto& tensors = theta_layout().tensors();
  for (std::size_t i = 0; i < gradient.size(); ++i)
    if (tensors[i].zero_gradient) gradient[i] = Tensor();
  return store(theta_layout(), gradient);
}

TruncationResult AutogradEngine::truncation(const Architecture& architecture,
                                            const std::vector<double>& theta, const std::vector<double>& phi,
                                            const std::vector<StepData>& steps) {
  check_state(rule(), theta_layout(), architecture, theta, phi);
  check_steps(rule(), architecture, steps);
  return translated([&] {
    // 1. θ as the leaves of the graph, φ as constants
    const c10::AutoGradMode with_gradients(true);
    const Layout layout = phi_layout(architecture);
    const Call call{architecture, layout, true};
    const auto bound = bind(theta, true);
    State state = leaves(layout, phi);

    // 2. k inner steps, each judged by the meta-objective
    TruncationResult result;
    std::vector<Tensor> objectives;
    for (const auto& data : steps) {
      state = step(call, state, data.inner);
      tell_of_sweep(state);
      const Judgement judgement = judge(call, state, data);
      if (judgement.dead()) {
        TruncationResult dead;
        dead.outcome = Outcome::dead_features;
        return dead;
      }
      objectives.push_back(judgement.value);
      result.meta_objective.push_back(judgement.value.item<double>());
      step_done();
    }
    const Tensor mean = at::stack(objectives).mean();
    result.mean_meta_objective = mean.item<double>();
    result.phi = store(layout, state);

    // 3. one reverse sweep
    if (all_finite(result.meta_objective) && all_finite(result.phi)) {
      result.d_theta = sweep(mean, bound);
      if (result.d_theta.empty()) {
        refuse_cut_gradient();
        result.d_theta.assign(theta.size(), 0.0);
      }
    }
    drop_unless_finite(result);
    return result;
  });
}

std::vector<double> AutogradEngine::unroll(const Architecture& architecture, const std::vector<double>& theta,
                                           const std::vector<double>& phi,
                                           const std::vector<Batch>& minibatches) {
  check_state(rule(), theta_layout(), architecture, theta, phi);
  for (std::size_t i = 0; i < minibatches.size(); ++i)
    check_inner(rule(), architecture, minibatches[i], minibatch_name(i));
  return translated([&] {
    const c10::AutoGradMode with_gradients(true);
    const Layout layout = phi_layout(architecture);
    bind(theta, false);
    State state = leaves(layout, phi);
    for (const auto& batch : minibatches) {
      state = step({architecture, layout, false}, state, batch);
      for (Tensor& tensor : state) tensor = tensor.detach().requires_grad_();
      step_done();
    }
    return store(layout, state);
  });
}

double AutogradEngine::meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                                      const std::vector<double>& phi, const StepData& step) {
  check_state(rule(), theta_layout(), architecture, theta, phi);
  check_labelled(rule(), architecture, step, "meta-objective");
  return translated([&] {
    const c10::AutoGradMode with_gradients(true);
    const Layout layout = phi_layout(architecture);
    bind(theta, false);
    const Judgement judgement = judge({architecture, layout, false}, leaves(layout, phi), step);
    return judgement.dead() ? std::numeric_limits<double>::quiet_NaN() : judgement.value.item<double>();
  });
}

}  // namespace outerloop::rule::reference
