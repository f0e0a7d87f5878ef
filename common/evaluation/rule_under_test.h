#pragma once
// The rule to evaluate: its engine, its learned θ, and the θ before meta-training.
#include <functional>
#include <memory>
#include <vector>

#include "common/rule/engine.h"

namespace outerloop::evaluation {

using EngineFactory = std::function<std::unique_ptr<rule::Engine>()>;

struct RuleUnderTest {
  EngineFactory make_engine;      ///< a new engine for each thread of the evaluation
  std::vector<double> theta;      ///< the learned rule, laid out as the engine's theta_layout()
  std::vector<double> untrained;  ///< the rule before meta-training, same layout
  /// Engines of supervised_sgd, for the optimizers that a supervised module is compared with; empty: the rule
  /// is supervised_sgd itself.
  EngineFactory make_sgd_engine{};
};

}  // namespace outerloop::evaluation
