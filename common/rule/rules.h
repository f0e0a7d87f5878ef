#pragma once
// The table of update rules: name, layouts of θ and φ, supervised or not. docs/extending.md adds a rule.
#include <string>
#include <vector>

#include "common/rule/layout.h"
#include "common/rule/phi.h"
#include "common/rule/theta.h"

namespace outerloop::rule {

/// An update rule as the rest of the program sees it. What computes it is chosen in fused/engine.cpp and
/// reference/engine.cpp.
struct RuleKind {
  const char* name;
  /// It trains on labels: the minibatches of inner steps carry them, the base model has an output for each
  /// class and a linear last layer, and it is judged by its loss on minibatch b. Otherwise it never sees a
  /// label, θ fixes the outputs (output_units), every layer ends in batch norm and the non-linearity, and the
  /// features are judged by a read-out.
  bool supervised;
  Layout (*theta_layout)(const RuleOptions& rule);
  /// Holds at least "l/W" [N_{l-1}, N_l] and "l/b" [N_l] of every layer l.
  Layout (*phi_layout)(const RuleOptions& rule, const Architecture& architecture);
};

const std::vector<RuleKind>& rule_kinds();

/// Throws InputError that lists the known ones.
const RuleKind& rule_kind(const std::string& name);

}  // namespace outerloop::rule
