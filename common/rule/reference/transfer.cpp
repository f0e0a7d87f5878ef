#include "common/rule/reference/transfer.h"

#include <ATen/record_function.h>

#include <algorithm>

namespace outerloop::rule::reference {
std::vector<Tensor> load(const Layout& layout, const std::vector<double>& values,
                         const at::TensorOptions& options, bool requires_grad) {
  std::vector<Tensor> tensors;
  tensors.reserve(layout.tensors().size());
  for (const auto& spec : layout.tensors()) {
    // from_blob() only reads.
    auto* first = const_cast<double*>(values.data() + spec.offset);
    const Tensor view = at::from_blob(first, spec.shape, at::TensorOptions(at::kDouble));
    tensors.push_back(at::empty(spec.shape, options).copy_(view).requires_grad_(requires_grad));
  }
  return tensors;
}

Tensor load(const std::vector<double>& values, std::int64_t rows, std::int64_t columns,
            const at::TensorOptions& options) {
  auto* first = const_cast<double*>(values.data());
  const Tensor view = at::from_blob(first, {rows, columns}, at::TensorOptions(at::kDouble));
  return at::empty({rows, columns}, options).copy_(view);
}

Tensor load(const std::vector<double>& values, const at::TensorOptions& options) {
  const auto size = static_cast<std::int64_t>(values.size());
  const Tensor host = at::empty({size}, options.device(at::kCPU));
  if (host.scalar_type() == at::kDouble)
    std::copy(values.begin(), values.end(), host.data_ptr<double>());
  else
    std::transform(values.begin(), values.end(), host.data_ptr<float>(),
                   [](double value) { return static_cast<float>(value); });
  return options.device().is_cpu() ? host : at::empty({size}, options).copy_(host);
}

std::vector<double> store(const Tensor& flat) {
  if (flat.is_meta()) {
    RECORD_FUNCTION(kFetchName, std::vector<c10::IValue>());
    return std::vector<double>(static_cast<std::size_t>(flat.numel()), 0.0);
  }
  const Tensor host = flat.is_cpu() ? flat : flat.to(at::TensorOptions(flat.scalar_type()).device(at::kCPU));
  if (host.scalar_type() == at::kDouble)
    return {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()};
  return {host.data_ptr<float>(), host.data_ptr<float>() + host.numel()};
}

std::vector<double> store(const Layout& layout, const std::vector<Tensor>& tensors) {
  std::vector<double> values(static_cast<std::size_t>(layout.size()), 0.0);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].defined()) continue;
    const Tensor host = tensors[i].detach().to(at::TensorOptions(at::kDouble).device(at::kCPU)).contiguous();
    std::copy_n(host.data_ptr<double>(), host.numel(), values.begin() + layout.tensors()[i].offset);
  }
  return values;
}

}  // namespace outerloop::rule::reference
