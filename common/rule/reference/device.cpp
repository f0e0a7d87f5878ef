#include "common/rule/reference/device.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <torch/version.h>

#include <cstdio>

#include "common/base/error.h"
#include "common/rule/device_choice.h"
#include "common/rule/reference/export.h"
#include "common/rule/reference/translated.h"

namespace outerloop::rule::reference {
namespace {

c10::Device checked_device(const EngineOptions& options) {
  if (is_cpu(options.device)) return c10::Device(c10::kCPU);
  if (!at::hasCUDA())
    throw InputError(
        "device: cuda asked for, but LibTorch " TORCH_VERSION
        " finds none here; use device: cpu, or a LibTorch built for CUDA and a machine with such a GPU");
  const int visible = static_cast<int>(c10::impl::VirtualGuardImpl(c10::kCUDA).deviceCount());
  const int index = device_of_worker(options.device, options.local_rank, visible);
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

/// On cuda, mixed is float32 with products that may round their factors to TF32.
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

/// Total memory of a CUDA device; 0 if the runtime does not report it.
std::int64_t device_bytes(const c10::Device& device) {
  std::size_t free = 0, all = 0;
  const c10::impl::VirtualGuardImpl cuda(c10::kCUDA);
  const c10::Device before = cuda.exchangeDevice(device);
  const auto memory = library_function<int (*)(std::size_t*, std::size_t*)>("cudaMemGetInfo");
  const bool known = memory && memory(&free, &all) == 0;
  cuda.setDevice(before);
  return known ? static_cast<std::int64_t>(all) : 0;
}

}  // namespace

at::TensorOptions tensor_options(const EngineOptions& options) {
  const c10::Device device = checked_device(options);
  return at::TensorOptions(checked_precision(options.precision, device)).device(device);
}

std::int64_t memory_budget_bytes(const EngineOptions& options, const c10::Device& device) {
  constexpr double kShare = 0.8;  // of the device's memory, by default
  if (options.memory_budget_mib > 0) return options.memory_budget_mib * (std::int64_t{1} << 20);
  if (!device.is_cuda()) return 0;
  const std::int64_t all = device_bytes(device);
  if (all == 0)
    throw InputError("engine.memory_budget_mib: 0, but the memory of " + device.str() +
                     " is not known; say how many MiB a call may keep");
  return static_cast<std::int64_t>(kShare * static_cast<double>(all));
}

std::string describe_device(const EngineOptions& options) {
  const c10::Device device = checked_device(options);
  if (!device.is_cuda()) return "cpu";
  char text[64];
  std::snprintf(text, sizeof text, "%s with %.1f GiB", device.str().c_str(),
                static_cast<double>(device_bytes(device)) / (1 << 30));
  return text;
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
          1);  // no second pool; LibTorch allows this only before the first use of the pool
    } catch (const c10::Error&) {
      return false;
    }
    return true;
  }();
  static_cast<void>(once);
  if (const auto set = library_function<void (*)(int)>("openblas_set_num_threads")) set(threads);
}

void keep_freed_memory() {
#ifdef __GLIBC__
  // Blocks up to the first size come from the heap, of which up to the second stays when freed.
  constexpr int kLargestBlock = 32 << 20, kKept = 256 << 20, kGrowth = 16 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargestBlock);
  mallopt(M_TRIM_THRESHOLD, kKept);
  mallopt(M_TOP_PAD, kGrowth);
#endif
}

std::string active_instruction_set(const c10::Device& device) {
  if (device.is_cuda()) return "cuda";
  // The only place where all versions of LibTorch report the selected kernels.
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

extern "C" OUTERLOOP_REFERENCE_API void outerloop_describe_device(
    const outerloop::rule::EngineOptions* options, std::string* text) {
  using namespace outerloop::rule::reference;
  *text = translated([&] { return describe_device(*options); });
}
