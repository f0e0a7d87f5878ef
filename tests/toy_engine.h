#pragma once
// An engine whose answer is known: the meta-objective is ½‖θ − c‖² whatever the task,
// so that ∂/∂θ = θ − c, and an inner step adds η to every number of φ.
#include <memory>
#include <string>
#include <vector>

#include "common/data/task.h"
#include "common/rule/engine.h"
#include "tests/rule_options.h"

namespace outerloop::tests {

class ToyEngine : public rule::Engine {
 public:
  static constexpr double kTarget = 3.0;  ///< c

  explicit ToyEngine(std::int64_t parameters) {
    rule_ = paper_rule();
    rule_.neuron_local.output_units = 4;
    layout_ =
        rule::Layout({{"toy", {parameters}, "one", rule::Initializer::truncated_normal(1.0), false, 0}});
  }

  const rule::RuleOptions& rule() const override { return rule_; }
  const rule::Layout& theta_layout() const override { return layout_; }

  rule::TruncationResult truncation(const rule::Architecture&, const std::vector<double>& theta,
                                    const std::vector<double>& phi,
                                    const std::vector<rule::StepData>& steps) override {
    rule::TruncationResult result;
    result.outcome = next_outcome;
    next_outcome = rule::Outcome::finished;
    if (result.outcome != rule::Outcome::finished) return result;
    double objective = 0.0;
    for (const double value : theta) {
      objective += 0.5 * (value - kTarget) * (value - kTarget);
      result.d_theta.push_back(value - kTarget);
    }
    result.meta_objective.assign(steps.size(), objective);
    result.mean_meta_objective = objective;
    result.phi = phi;
    for (double& value : result.phi) value += 0.001 * static_cast<double>(steps.size());
    for (std::size_t i = 0; i < 2 * steps.size(); ++i) step_done();
    return result;
  }

  std::vector<double> unroll(const rule::Architecture&, const std::vector<double>&,
                             const std::vector<double>& phi, const std::vector<rule::Batch>&) override {
    return phi;
  }

  double meta_objective(const rule::Architecture&, const std::vector<double>&, const std::vector<double>&,
                        const rule::StepData&) override {
    return 0.0;
  }

  std::string description() const override { return "toy"; }
  std::string instruction_set() const override { return "toy"; }

  rule::Outcome next_outcome = rule::Outcome::finished;  ///< of the next truncation alone

 private:
  rule::RuleOptions rule_;
  rule::Layout layout_;
};

/// Four classes of random pixels, 3×3.
inline std::shared_ptr<const data::Dataset> toy_dataset() {
  auto dataset = std::make_shared<data::Dataset>();
  dataset->name = "toy";
  dataset->size = 3;
  dataset->inputs = 9;
  dataset->examples_of_class.resize(4);
  for (int label = 0; label < 4; ++label) {
    dataset->class_names.push_back("class " + std::to_string(label));
    for (int i = 0; i < 12; ++i) {
      dataset->examples_of_class[static_cast<std::size_t>(label)].push_back(
          static_cast<std::int32_t>(dataset->labels.size()));
      dataset->labels.push_back(label);
      for (int pixel = 0; pixel < 9; ++pixel)
        dataset->pixels.push_back(static_cast<std::uint8_t>((label * 60 + i * 7 + pixel * 13) % 256));
    }
  }
  dataset->sha256 = "toy";
  return dataset;
}

inline data::TaskDistribution toy_tasks(std::uint64_t seed) {
  data::TaskOptions options;
  options.way = {3, 4};
  options.subclasses = {1, 1};
  options.labelled_per_class = 2;
  options.sizes = {5, {1, 2}, {4, 6}, {3, 12}};
  options.output_units = 4;
  options.permute_probability = 1.0;
  return data::TaskDistribution(options, {{toy_dataset(), 1.0}}, seed);
}

}  // namespace outerloop::tests
