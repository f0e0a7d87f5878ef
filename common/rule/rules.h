#pragma once
// The table of update rules: name, layouts of θ and φ, supervised or not. docs/extending.md shows how to add
// one.
#include <string>
#include <vector>

#include "common/rule/layout.h"
#include "common/rule/phi.h"
#include "common/rule/theta.h"

namespace outerloop::rule {

/// Interface of an update rule to the rest of the program. Its implementation is chosen in fused/engine.cpp
/// and reference/engine.cpp.
struct RuleKind {
  const char* name;
  /// True: the rule trains on labels (a module says so itself: see supervised()). The minibatches of inner
  /// steps carry them, the base model has an output per class and a linear last layer, and its meta-objective
  /// is its loss on minibatch b. False: the rule never sees a label, θ fixes the outputs (output_units),
  /// every layer ends in batch norm and the non-linearity, and a read-out scores the features.
  bool supervised;
  Layout (*theta_layout)(const RuleOptions& rule);
  /// Holds at least "l/W" [N_{l-1}, N_l] and "l/b" [N_l] of every layer l, except for a module.
  Layout (*phi_layout)(const RuleOptions& rule, const Architecture& architecture);
};

const std::vector<RuleKind>& rule_kinds();

/// Throws InputError that lists the known rules.
const RuleKind& rule_kind(const std::string& name);

/// Whether the rule trains on labels.
bool supervised(const RuleOptions& rule);

}  // namespace outerloop::rule
