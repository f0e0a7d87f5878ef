#pragma once
// θ, the parameters of an update rule: names, shapes and initial values of its tensors.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/rule/layout.h"

namespace outerloop::rule {

// The options below have no defaults here: config.proto states them. An unset option is rejected where it is
// needed.

/// Sizes of the neuron-local rule of Metz et al. (ICLR 2019); letters as in docs/update-rule.md.
struct NeuronLocalSize {
  std::int64_t hidden_channels = 0;   ///< C
  std::int64_t top_channels = 0;      ///< T
  std::int64_t delta_channels = 0;    ///< D
  std::int64_t readout_channels = 0;  ///< G
  std::int64_t hidden_blocks = 0;     ///< H, may be 0
  std::int64_t top_layers = 0;        ///< P, may be 0
  std::int64_t output_units = 0;      ///< N_L: θ fixes it, because top.mix has N_L channels
  double inner_step_size = 0.0;       ///< η
  double ridge = 0.0;                 ///< λ of the meta-objective, above 0
  bool separate_backward_readouts = false;
  double initial_merge = 0.0;  ///< initial value of merge.w
};

/// The sizes of the paper: C = T = 64, D = 32, G = 4, H = 1, P = 2, N_L = 32, η = 1e-4, λ = 0.1, merge.w 0.1.
/// configs/paper.textproto has the same.
NeuronLocalSize paper_size();

/// SGD with momentum as a learned optimizer with four parameters: learning rate and momentum for the hidden
/// layers, and for the output layer.
struct SupervisedSgdOptions {
  double initial_learning_rate = 0.0;  ///< above 0
  double initial_momentum = 0.0;       ///< above 0, below 1
};

struct ScriptedRule;

/// An update rule with its options.
struct RuleOptions {
  std::string name;  ///< of rule_kinds() (rules.h)
  NeuronLocalSize neuron_local;
  SupervisedSgdOptions supervised_sgd;
  /// The module of the rule torchscript (scripted_rule.h); null for all others. output_units and ridge are
  /// then also in neuron_local.
  std::shared_ptr<const ScriptedRule> script{};
};

/// θ's tensors in the order of the golden files' name table. Throws InputError for an unknown rule name, and
/// for options of supervised_sgd that have no logarithm.
Layout theta_layout(const RuleOptions& rule);

/// θ's layout of each rule (see rules.h).
Layout neuron_local_theta(const RuleOptions& rule);
Layout supervised_sgd_theta(const RuleOptions& rule);
Layout torchscript_theta(const RuleOptions& rule);

/// θ before meta-training: drawn from `seed`, or the values that a module was saved with.
std::vector<double> initial_theta(const RuleOptions& rule, std::uint64_t seed);
std::vector<double> initial_theta(const Layout& layout, std::uint64_t seed);

}  // namespace outerloop::rule
