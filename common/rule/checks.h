#pragma once
// Argument checks of an engine (rule, options, sizes of θ, φ and minibatches), and the check that results are
// finite.
#include <string>
#include <vector>

#include "common/rule/engine.h"

namespace outerloop::rule {

/// Throws InputError unless the rule's sizes are within reason.
void check_rule(const RuleOptions& rule);

/// Throws InputError unless 1 <= threads <= 1024.
void check_threads(int threads);

/// Throws InputError for a memory budget below 0, the value that stands for "automatic".
void check_memory_budget(std::int64_t mib);

/// Throws Error unless `phi` and `theta` have their layouts' sizes and the architecture suits the rule.
void check_state(const RuleOptions& rule, const Layout& theta_layout, const Architecture& architecture,
                 const std::vector<double>& theta, const std::vector<double>& phi);

/// Throws Error unless the minibatch of an inner step, called `what` in the message, fits the architecture
/// and is complete: its x, and for a supervised rule its labels.
void check_inner(const RuleOptions& rule, const Architecture& architecture, const Batch& inner,
                 const std::string& what);

/// Throws Error unless the labelled minibatches of a step that the rule uses fit the architecture and one
/// another.
void check_labelled(const RuleOptions& rule, const Architecture& architecture, const StepData& step,
                    const std::string& what);

/// Both checks for every step of a truncation, which must have at least one. Throws Error.
void check_steps(const RuleOptions& rule, const Architecture& architecture,
                 const std::vector<StepData>& steps);

/// "minibatch 3" for steps[2].
std::string minibatch_name(std::size_t step);

/// Whether every number is finite.
bool all_finite(const std::vector<double>& values);

/// Makes the outcome not_finite, without gradient or φ, unless there is a gradient and all of its numbers and
/// of the meta-objective's are finite.
void drop_unless_finite(TruncationResult& result);

}  // namespace outerloop::rule
