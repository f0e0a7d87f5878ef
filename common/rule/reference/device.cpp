#include "common/rule/reference/device.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <torch/version.h>

#include "common/base/error.h"

namespace outerloop::rule::reference {
namespace {

c10::Device checked_device(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  const bool numbered = name.rfind("cuda:", 0) == 0 && name.size() > 5 && name.size() <= 7 &&
                        name.find_first_not_of("0123456789", 5) == std::string::npos;
  if (name != "cuda" && !numbered)
    throw InputError("device: '" + name + "' is unknown; there are cpu, cuda and cuda:i");
  if (!at::hasCUDA())
    throw InputError(
        "device: cuda asked for, but LibTorch " TORCH_VERSION
        " finds none here; use device: cpu, or a LibTorch built for CUDA and a machine with such a GPU");
  const int index = numbered ? std::stoi(name.substr(5)) : 0;
  const int count = static_cast<int>(c10::impl::VirtualGuardImpl(c10::kCUDA).deviceCount());
  if (index >= count)
    throw InputError("device: cuda asked for with number " + std::to_string(index) +
                     ", but this machine has " + std::to_string(count) + " such device(s), counted from 0");
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

/// On cuda, mixed is float32 whose products may round their factors to TF32.
c10::ScalarType checked_precision(Precision precision, const c10::Device& device) {
  if (precision == Precision::float64) return at::kDouble;
  if (precision == Precision::mixed && !device.is_cuda())
    throw InputError(
        "engine.precision: mixed exists in the fused engine and on cuda only; use float32 or float64 with "
        "reference on the cpu");
  at::globalContext().setFloat32MatmulPrecision(precision == Precision::mixed ? "high" : "highest");
  return at::kFloat;
}

/// A function of a library below LibTorch (its BLAS, the CUDA runtime), or nullptr.
template <class F>
F library_function(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace

at::TensorOptions tensor_options(const EngineOptions& options) {
  const c10::Device device = checked_device(options.device);
  return at::TensorOptions(checked_precision(options.precision, device)).device(device);
}

std::int64_t memory_budget_bytes(const EngineOptions& options, const c10::Device& device) {
  constexpr double kShare = 0.8;  // of a device, where nobody says how much
  if (options.memory_budget_mib > 0) return options.memory_budget_mib * (std::int64_t{1} << 20);
  if (!device.is_cuda()) return 0;
  std::size_t free = 0, all = 0;
  const c10::impl::VirtualGuardImpl cuda(c10::kCUDA);
  const c10::Device before = cuda.exchangeDevice(device);
  const auto memory = library_function<int (*)(std::size_t*, std::size_t*)>("cudaMemGetInfo");
  const bool known = memory && memory(&free, &all) == 0;
  cuda.setDevice(before);
  if (!known)
    throw InputError("engine.memory_budget_mib: 0, but the memory of " + device.str() +
                     " is not known; say how many MiB a call may keep");
  return static_cast<std::int64_t>(kShare * static_cast<double>(all));
}

void check_instruction_set(const std::string& name) {
  for (const char* known : {"auto", "avx512", "avx2", "sse4", "baseline"})
    if (name == known) return;
  throw InputError("engine.instruction_set: '" + name +
                   "' is unknown; there are auto, avx512, avx2, sse4, baseline");
}

void set_threads(int threads) {
  at::set_num_threads(threads);
  static const bool once = [] {
    try {
      at::set_num_interop_threads(
          1);  // no second pool; LibTorch allows this only before the pool's first use
    } catch (const c10::Error&) {
      return false;
    }
    return true;
  }();
  static_cast<void>(once);
  if (const auto set = library_function<void (*)(int)>("openblas_set_num_threads")) set(threads);
}

std::string active_instruction_set(const c10::Device& device) {
  if (device.is_cuda()) return "cuda";
  // The one place where every version of LibTorch says which of its kernels it picked.
  const std::string config = at::show_config();
  const auto at_word = config.find("CPU capability usage: ");
  const std::string rest = at_word == std::string::npos ? "" : config.substr(at_word + 22, 6);
  if (rest == "AVX512") return "avx512";
  return rest.substr(0, 4) == "AVX2" ? "avx2" : "baseline";
}

std::string library_description() {
  std::string text = "LibTorch " TORCH_VERSION;
  if (const auto core = library_function<char* (*)()>("openblas_get_corename"))
    text += std::string(", OpenBLAS ") + core();
  return text;
}

}  // namespace outerloop::rule::reference
