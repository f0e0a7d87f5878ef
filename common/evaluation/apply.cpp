#include "common/evaluation/apply.h"

#include <utility>

#include "common/base/error.h"
#include "common/evaluation/few_shot_methods.h"

namespace outerloop::evaluation {
TrainedBaseModel train_base_model(rule::Engine& engine, const std::vector<double>& theta, rule::Matrix x,
                                  const ApplyOptions& options) {
  if (options.inner_steps < 1)
    throw InputError(std::to_string(options.inner_steps) + " inner steps: at least 1 is needed");
  // A draw of few-shot evaluation without labels and without a permutation.
  FewShotData data;
  data.train = std::move(x);
  FewShotOptions few_shot;
  few_shot.hidden = options.hidden;
  few_shot.minibatch = options.minibatch;
  few_shot.seed = options.seed;
  few_shot.permute = false;
  few_shot.methods.clear();
  const FewShotPreparation prepared;
  const RuleUnderTest rule{nullptr, theta, {}};  // no factory: the caller provides the engine
  const MethodSet set(engine, rule, data, few_shot, prepared);
  TrainedBaseModel trained{set.draws().architecture(), {}};
  set.train(theta, {set.draws().sample(0)}, {options.inner_steps},
            [&](std::size_t, const std::vector<double>& phi) { trained.phi = phi; });
  return trained;
}

rule::Matrix apply_rule(rule::Engine& engine, const std::vector<double>& theta, const rule::Matrix& x,
                        const ApplyOptions& options) {
  const auto trained = train_base_model(engine, theta, x, options);
  const auto statistics = engine.calibrate(trained.architecture, theta, trained.phi, x);
  return engine.features(trained.architecture, theta, trained.phi, statistics, x);
}

}  // namespace outerloop::evaluation
