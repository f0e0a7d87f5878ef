#pragma once
// Conversion between the engine interface's flat vectors of double and tensors. The sizes must have been
// checked (common/rule/checks.h).
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "common/rule/engine.h"
#include "common/rule/reference/export.h"

namespace outerloop::rule::reference {

using at::Tensor;

/// One tensor per entry of the layout, rounded to the precision of `options` and on its device.
std::vector<Tensor> load(const Layout& layout, const std::vector<double>& values,
                         const at::TensorOptions& options, bool requires_grad);

/// A table [rows, columns].
Tensor load(const std::vector<double>& values, std::int64_t rows, std::int64_t columns,
            const at::TensorOptions& options);

/// Options of the host's side of a copy to or from `options`: pinned memory for cuda, which the device
/// copies by itself.
OUTERLOOP_REFERENCE_API at::TensorOptions staging_options(const at::TensorOptions& options);

/// One flat tensor, rounded on the host, in one copy.
Tensor load(const std::vector<double>& values, const at::TensorOptions& options);

/// Name of the copy in store(), where operations are counted.
constexpr const char* kFetchName = "fetch";
/// The numbers of a flat tensor, in one copy; zeros on the meta device, whose tensors have none.
std::vector<double> store(const Tensor& flat);

/// One flat vector. Undefined tensors give zeros.
std::vector<double> store(const Layout& layout, const std::vector<Tensor>& tensors);

}  // namespace outerloop::rule::reference
