#pragma once
// From the engine interface's flat vectors of double to tensors and back; sizes are checked here.
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "common/rule/engine.h"

namespace outerloop::rule::reference {

using at::Tensor;

/// Throws Error unless `phi` and `theta` have their layouts' sizes and the architecture suits the rule.
void check_state(const RuleOptions& rule, const Layout& theta_layout, const Architecture& architecture,
                 const std::vector<double>& theta, const std::vector<double>& phi);

/// Throws Error unless the examples of `batch`, called `what` in the message, fit the architecture and its
/// numbers are all there. Labels are looked at where `with_labels`.
void check_batch(const Architecture& architecture, const Batch& batch, const std::string& what,
                 bool with_labels);

/// One tensor per entry of the layout, rounded to the precision of `options` and on its device.
std::vector<Tensor> load(const Layout& layout, const std::vector<double>& values,
                         const at::TensorOptions& options, bool requires_grad);

/// A table [rows, columns].
Tensor load(const std::vector<double>& values, std::int64_t rows, std::int64_t columns,
            const at::TensorOptions& options);

/// One flat vector. Undefined tensors give zeros.
std::vector<double> store(const Layout& layout, const std::vector<Tensor>& tensors);

}  // namespace outerloop::rule::reference
