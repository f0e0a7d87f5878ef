#include "common/rule/reference/scripted_engine.h"

#include <algorithm>

#include "common/rule/random.h"
#include "common/rule/reference/transfer.h"
#include "common/rule/reference/translated.h"
#include "common/rule/rules.h"
#include "common/rule/scripted_rule.h"

namespace outerloop::rule::reference {
namespace {

constexpr std::int64_t kRows = 4096;  // of a call of features

Tensor table(const Matrix& inputs, std::int64_t first, std::int64_t rows, const at::TensorOptions& options) {
  auto* values = const_cast<float*>(inputs.row(first));  // only read
  return at::from_blob(values, {rows, inputs.columns}, at::TensorOptions(at::kFloat))
      .to(options, false, true);
}

}  // namespace

ScriptedEngine::ScriptedEngine(const RuleOptions& rule, const EngineOptions& options)
    : AutogradEngine(rule, options), module_(rule.script->bytes, rule.script->name) {
  module_.move_to(tensor_options());
}

std::vector<Tensor> ScriptedEngine::bind(const std::vector<double>& theta, bool requires_grad) {
  module_.set_theta(load(theta_layout(), theta, tensor_options(), false), requires_grad);
  return module_.tensors();
}

State ScriptedEngine::step(const Call& call, const State& phi, const Batch& inner) {
  const Tensor y = module_.takes_labels() ? labels(call.architecture, inner) : Tensor();
  return module_.step(call.phi, phi, inputs(inner), y);
}

ScriptedEngine::Judgement ScriptedEngine::judge(const Call& call, const State& phi, const StepData& step) {
  const Architecture& architecture = call.architecture;
  if (module_.has_method("objective"))
    return {module_.objective(
                call.phi, phi,
                {inputs(step.a), labels(architecture, step.a), inputs(step.b), labels(architecture, step.b)}),
            {}};
  if (!supervised(rule())) return ridge(call.phi, phi, step);
  const Tensor scores = module_.features(call.phi, phi, inputs(step.b));
  const Tensor losses = labels(architecture, step.b) * at::log_softmax(scores, 1);
  return {-losses.sum() / static_cast<double>(step.b.examples), {}};
}

void ScriptedEngine::refuse_cut_gradient() const {
  module_.refuse(
      "cuts the gradient: the meta-objective depends on no parameter; look for detach, "
      ".data and torch.no_grad in step");
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
    bind(rule().script->initial_theta, false);
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
    bind(theta, false);
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
    bind(theta, false);
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

}  // namespace outerloop::rule::reference
