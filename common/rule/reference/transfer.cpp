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
  if (options.device().is_cuda()) return load(values, options).view({rows, columns});
  auto* first = const_cast<double*>(values.data());
  const Tensor view = at::from_blob(first, {rows, columns}, at::TensorOptions(at::kDouble));
  return at::empty({rows, columns}, options).copy_(view);
}

at::TensorOptions staging_options(const at::TensorOptions& options) {
  // A LibTorch without CUDA has no pinned memory and throws where it is asked for it.
  return options.device(at::kCPU).pinned_memory(options.device().is_cuda());
}

Tensor load(const std::vector<double>& values, const at::TensorOptions& options) {
  const auto size = static_cast<std::int64_t>(values.size());
  // Before the host's tensor: pinned memory then belongs to this device, not to the first one.
  Tensor on_device;
  if (!options.device().is_cpu()) on_device = at::empty({size}, options);
  const Tensor host = at::empty({size}, staging_options(options));
  if (host.scalar_type() == at::kDouble)
    std::copy(values.begin(), values.end(), host.data_ptr<double>());
  else
    std::transform(values.begin(), values.end(), host.data_ptr<float>(),
                   [](double value) { return static_cast<float>(value); });
  if (!on_device.defined()) return host;
  // The device's later work waits for the copy, the host does not. LibTorch reuses pinned memory only after
  // the copies from it have ended.
  return on_device.copy_(host, /*non_blocking=*/options.device().is_cuda());
}

std::vector<double> store(const Tensor& flat) {
  if (flat.is_meta()) {
    RECORD_FUNCTION(kFetchName, std::vector<c10::IValue>());
    return std::vector<double>(static_cast<std::size_t>(flat.numel()), 0.0);
  }
  const Tensor host =
      flat.is_cpu() ? flat : at::empty(flat.sizes(), staging_options(flat.options())).copy_(flat);
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
