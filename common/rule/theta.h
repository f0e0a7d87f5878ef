#pragma once
// θ, the parameters of an update rule: names, shapes and initial values of its tensors.
#include <cstdint>
#include <string>
#include <vector>

#include "common/rule/layout.h"

namespace outerloop::rule {

/// Sizes of the neuron-local rule of Metz et al. (ICLR 2019); letters as in docs/update-rule.md.
struct NeuronLocalSize {
  std::int64_t hidden_channels = 64;  ///< C
  std::int64_t top_channels = 64;     ///< T
  std::int64_t delta_channels = 32;   ///< D
  std::int64_t readout_channels = 4;  ///< G
  std::int64_t hidden_blocks = 1;     ///< H, may be 0
  std::int64_t top_layers = 2;        ///< P, may be 0
  std::int64_t output_units = 32;     ///< N_L: θ fixes it, because top.mix has N_L channels
  double inner_step_size = 1e-4;      ///< η
  double ridge = 0.1;                 ///< λ of the meta-objective
  bool separate_backward_readouts = false;
  double initial_merge = 0.1;  ///< what merge.w is before meta-training; the paper's is 0.1
};

/// The seed's example of a learned optimizer: SGD with momentum, one learning rate and momentum per layer
/// kind.
struct SupervisedSgdOptions {
  double initial_learning_rate = 1e-6;
  double initial_momentum = 0.5;
};

/// Which update rule, with its sizes.
struct RuleOptions {
  std::string name = "neuron_local";  ///< of rule_kinds() (rules.h)
  NeuronLocalSize neuron_local;
  SupervisedSgdOptions supervised_sgd;
};

/// θ's tensors in the order of the golden files' name table. Throws InputError for an unknown rule name.
Layout theta_layout(const RuleOptions& rule);

/// The same of each rule (rules.h).
Layout neuron_local_theta(const RuleOptions& rule);
Layout supervised_sgd_theta(const RuleOptions& rule);

/// θ before meta-training.
std::vector<double> initial_theta(const Layout& layout, std::uint64_t seed);

/// The twelve terms of the weight change, in the order of merge.w.
extern const char* const kWeightChangeTerms[12];

}  // namespace outerloop::rule
