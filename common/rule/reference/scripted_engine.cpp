#include "common/rule/reference/scripted_engine.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <limits>

#include "common/rule/random.h"
#include "common/rule/reference/transfer.h"
#include "common/rule/reference/translated.h"
#include "common/rule/rules.h"
#include "common/rule/scripted_rule.h"

namespace outerloop::rule::reference {
namespace {

constexpr std::int64_t kRows = 4096;  // of a call of features

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

State as_leaves(const State& phi) {
  State list;
  for (const auto& tensor : phi) list.push_back(tensor.detach().requires_grad_());
  return list;
}

Tensor table(const Matrix& inputs, std::int64_t first, std::int64_t rows, const at::TensorOptions& options) {
  auto* values = const_cast<float*>(inputs.row(first));  // only read
  return at::from_blob(values, {rows, inputs.columns}, at::TensorOptions(at::kFloat))
      .to(options, false, true);
}

}  // namespace

ScriptedEngine::ScriptedEngine(const RuleOptions& rule, const EngineOptions& options)
    : TorchEngine(rule, options), module_(rule.script->bytes, rule.script->name) {
  module_.move_to(tensor_options());
}

void ScriptedEngine::set_theta(const std::vector<double>& theta, bool requires_grad) {
  module_.set_theta(load(theta_layout(), theta, tensor_options(), false), requires_grad);
}

State ScriptedEngine::leaves(const Layout& layout, const std::vector<double>& phi) const {
  return load(layout, phi, tensor_options(), true);
}

Tensor ScriptedEngine::inputs(const Batch& batch) const {
  return load(batch.x, batch.examples, batch.inputs, tensor_options());
}

/// Of a supervised rule outputs beyond the task's classes are classes that never occur.
Tensor ScriptedEngine::labels(const Architecture& architecture, const Batch& batch) const {
  const Tensor y = load(batch.y, batch.examples, batch.targets, tensor_options());
  if (!supervised(rule())) return y;
  return at::constant_pad_nd(y, {0, architecture.outputs() - batch.targets});
}

State ScriptedEngine::step(const Layout& layout, const Architecture& architecture, const State& phi,
                           const Batch& inner) {
  const Tensor y = module_.takes_labels() ? labels(architecture, inner) : Tensor();
  return module_.step(layout, phi, inputs(inner), y);
}

ScriptedEngine::Judgement ScriptedEngine::judge(const Layout& layout, const Architecture& architecture,
                                                const State& phi, const StepData& step) {
  const c10::AutoGradMode with_gradients(true);
  if (module_.has_method("objective")) {
    const auto labelled = [&](const Batch& batch) {
      return std::pair(inputs(batch), labels(architecture, batch));
    };
    const auto a = labelled(step.a), b = labelled(step.b);
    return {module_.objective(layout, phi, {a.first, a.second, b.first, b.second}), {}};
  }
  if (!supervised(rule())) return ridge(layout, phi, step);
  const Tensor scores = module_.features(layout, phi, inputs(step.b));
  const Tensor losses = labels(architecture, step.b) * at::log_softmax(scores, 1);
  return {-losses.sum() / static_cast<double>(step.b.examples), {}};
}

/// The ridge meta-objective on the features of both minibatches at once.
ScriptedEngine::Judgement ScriptedEngine::ridge(const Layout& layout, const State& phi,
                                                const StepData& step) {
  const std::vector<const StepData*> steps{&step};
  const LabelledShape shape = labelled_shape(steps);
  std::vector<double> numbers;
  append_labelled(shape, steps, numbers);
  const auto data = labelled_pairs(shape, load(numbers, tensor_options()));
  const Tensor x = data.x.select(0, 0).t().contiguous();
  const Tensor u = module_.features(layout, phi, x).t().unsqueeze(0);
  const auto result = ridge_objectives(u, data, rule().neuron_local.ridge);
  return {result.value.select(0, 0), result.features.min()};
}

std::vector<double> ScriptedEngine::initial_phi(const Architecture& architecture, std::uint64_t seed,
                                                std::uint32_t stream, std::uint32_t task) {
  return translated([&] {
    set_theta(rule().script->initial_theta, false);
    const Layout layout = phi_layout(architecture);
    const auto own = Random(seed, stream, task, Purpose::phi).bits(0) >> 1;  // not negative
    auto phi = store(layout, module_.init(layout, architecture.units, static_cast<std::int64_t>(own)));
    for (double& value : phi) value = static_cast<float>(value);
    return phi;
  });
}

FrozenStatistics ScriptedEngine::calibrate(const Architecture& architecture, const std::vector<double>& theta,
                                           const std::vector<double>& phi, const Matrix& inputs) {
  check_state(rule(), theta_layout(), architecture, theta, phi);
  OUTERLOOP_CHECK_EQ(inputs.columns, architecture.inputs());
  return translated([&] {
    set_theta(theta, false);
    const Layout layout = phi_layout(architecture);
    FrozenStatistics statistics;
    for (const auto& tensor :
         module_.calibrate(layout, leaves(layout, phi), table(inputs, 0, inputs.rows, tensor_options()))) {
      const Tensor host = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
      statistics.tensors.push_back(
          {host.sizes().vec(), {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()}});
    }
    return statistics;
  });
}

Matrix ScriptedEngine::features(const Architecture& architecture, const std::vector<double>& theta,
                                const std::vector<double>& phi, const FrozenStatistics& statistics,
                                const Matrix& inputs) {
  check_state(rule(), theta_layout(), architecture, theta, phi);
  OUTERLOOP_CHECK_EQ(inputs.columns, architecture.inputs());
  return translated([&] {
    set_theta(theta, false);
    const Layout layout = phi_layout(architecture);
    const State state = leaves(layout, phi);
    std::vector<Tensor> frozen;
    for (const auto& tensor : statistics.tensors)
      frozen.push_back(
          at::tensor(tensor.values, at::TensorOptions(at::kDouble)).view(tensor.shape).to(tensor_options()));
    Matrix result(inputs.rows, architecture.outputs());
    for (std::int64_t first = 0; first < inputs.rows; first += kRows) {
      const std::int64_t rows = std::min(kRows, inputs.rows - first);
      const Tensor part =
          module_.features(layout, state, table(inputs, first, rows, tensor_options()), &frozen)
              .detach()
              .to(at::kCPU, at::kFloat)
              .contiguous();
      OUTERLOOP_CHECK_EQ(part.size(1), architecture.outputs());
      std::copy_n(part.data_ptr<float>(), part.numel(), result.row(first));
    }
    return result;
  });
}

/// The reverse sweep reaches a tensor of φ once a step. On cuda it runs on a thread of its own; and a module
/// may differentiate inside of a step.
void ScriptedEngine::tell_of_sweep(const State& phi) {
  const Tensor& passed = phi.front();
  if (!tensor_options().device().is_cpu() || !passed.requires_grad()) return;
  passed.register_hook([this](const Tensor&) {
    if (sweeping_) step_done();
  });
}

/// ∂ mean / ∂θ; empty where no parameter has a part in it.
std::vector<double> ScriptedEngine::sweep(const Tensor& mean) {
  if (!mean.requires_grad()) return {};
  const Raised sweeping(sweeping_);
  auto gradient = torch::autograd::grad({mean}, module_.tensors(), {}, false, false, true);
  const auto undefined = [](const Tensor& tensor) { return !tensor.defined(); };
  if (std::all_of(gradient.begin(), gradient.end(), undefined)) return {};
  const auto& tensors = theta_layout().tensors();
  for (std::size_t i = 0; i < gradient.size(); ++i)
    if (tensors[i].zero_gradient) gradient[i] = Tensor();
  return store(theta_layout(), gradient);
}

TruncationResult ScriptedEngine::truncation(const Architecture& architecture,
                                            const std::vector<double>& theta, const std::vector<double>& phi,
                                            const std::vector<StepData>& steps) {
  check_state(rule(), theta_layout(), architecture, theta, phi);
  check_steps(rule(), architecture, steps);
  return translated([&] {
    // 1. θ as the leaves of the graph, φ as constants
    const Layout layout = phi_layout(architecture);
    set_theta(theta, true);
    State state = leaves(layout, phi);

    // 2. k inner steps, each judged by the meta-objective
    TruncationResult result;
    std::vector<Tensor> objectives;
    for (const auto& data : steps) {
      state = step(layout, architecture, state, data.inner);
      tell_of_sweep(state);
      const Judgement judgement = judge(layout, architecture, state, data);
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
      result.d_theta = sweep(mean);
      if (result.d_theta.empty())
        module_.refuse(
            "cuts the gradient: the meta-objective depends on no parameter; look for detach, "
            ".data and torch.no_grad in step");
    }
    drop_unless_finite(result);
    return result;
  });
}

std::vector<double> ScriptedEngine::unroll(const Architecture& architecture, const std::vector<double>& theta,
                                           const std::vector<double>& phi,
                                           const std::vector<Batch>& minibatches) {
  check_state(rule(), theta_layout(), architecture, theta, phi);
  for (std::size_t i = 0; i < minibatches.size(); ++i)
    check_inner(rule(), architecture, minibatches[i], minibatch_name(i));
  return translated([&] {
    const Layout layout = phi_layout(architecture);
    set_theta(theta, false);
    State state = leaves(layout, phi);
    for (const auto& batch : minibatches) {
      state = as_leaves(step(layout, architecture, state, batch));
      step_done();
    }
    return store(layout, state);
  });
}

double ScriptedEngine::meta_objective(const Architecture& architecture, const std::vector<double>& theta,
                                      const std::vector<double>& phi, const StepData& step) {
  check_state(rule(), theta_layout(), architecture, theta, phi);
  check_labelled(rule(), architecture, step, "meta-objective");
  return translated([&] {
    const Layout layout = phi_layout(architecture);
    set_theta(theta, false);
    const Judgement judgement = judge(layout, architecture, leaves(layout, phi), step);
    return judgement.dead() ? std::numeric_limits<double>::quiet_NaN() : judgement.value.item<double>();
  });
}

}  // namespace outerloop::rule::reference
