#pragma once
// Shared by tests of the evaluator: a small engine, and options for tasks of the toy dataset.
#include <memory>
#include <string>
#include <vector>

#include "common/evaluation/evaluator.h"
#include "common/rule/engines/make_engine.h"
#include "tests/rule_options.h"
#include "tests/toy_engine.h"

namespace outerloop::tests {

inline std::unique_ptr<rule::Engine> small_engine(const std::string& name = "neuron_local",
                                                  const rule::EngineOptions& engine = cpu_engine()) {
  auto options = paper_rule(name);
  options.neuron_local.hidden_channels = 4;
  options.neuron_local.top_channels = 4;
  options.neuron_local.hidden_blocks = 0;
  options.neuron_local.top_layers = 1;
  options.neuron_local.output_units = 4;
  return rule::make_engine(options, engine);
}

inline evaluation::EvaluatorOptions evaluator_options() {
  evaluation::EvaluatorOptions o;
  o.inner_steps = 40;  // more than one chunk
  o.statistics_examples = 100;
  o.seed = 5;
  return o;
}

inline data::TaskOptions task_options(std::int64_t output_units = 4) {
  auto o = toy_tasks(1).options();
  o.output_units = output_units;
  return o;
}

/// The toy dataset with only the classes `keep`.
inline std::shared_ptr<const data::Dataset> with_classes(std::size_t keep) {
  auto dataset = std::make_shared<data::Dataset>(*toy_dataset());
  dataset->examples_of_class.resize(keep);
  return dataset;
}
inline bool same(const evaluation::Evaluation& a, const evaluation::Evaluation& b) {
  return a.outcome == b.outcome && a.meta_objective == b.meta_objective && a.accuracy == b.accuracy;
}

}  // namespace outerloop::tests
