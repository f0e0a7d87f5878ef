#include "common/rule/reference/supervised_sgd_engine.h"

#include "common/rule/reference/transfer.h"

namespace outerloop::rule::reference {

std::vector<Tensor> SupervisedSgdEngine::bind(const std::vector<double>& theta, bool requires_grad) {
  auto tensors = load(theta_layout(), theta, tensor_options(), requires_grad);
  sgd_.emplace(tensors);
  return tensors;
}

SupervisedSgdEngine::State SupervisedSgdEngine::step(const Call& call, const State& phi, const Batch& inner) {
  return sgd_->step(phi, inputs(inner), labels(call.architecture, inner), call.architecture.nonlinearity,
                    call.differentiable);
}

SupervisedSgdEngine::Judgement SupervisedSgdEngine::judge(const Call& call, const State& phi,
                                                          const StepData& step) {
  const Architecture& architecture = call.architecture;
  return {SupervisedSgd::loss(phi, inputs(step.b), labels(architecture, step.b), architecture.nonlinearity),
          {}};
}

}  // namespace outerloop::rule::reference
