#include "cli/bench/machine.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <vector>

#include "cli/support/cores.h"

namespace outerloop::cli {
namespace {

/// The text after "KEY:" (and blanks) in a file of /proc; empty if there is none.
std::string proc_value(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const auto colon = line.find(':');
    const auto first = line.find_first_not_of(" \t", colon == std::string::npos ? colon : colon + 1);
    if (first != std::string::npos) return line.substr(first);
  }
  return "";
}

/// A value in kB, converted to bytes; `otherwise` if the file lacks it.
std::int64_t proc_bytes(const std::string& path, const std::string& key, std::int64_t otherwise) {
  const std::string value = proc_value(path, key);
  return value.empty() ? otherwise : 1024 * std::strtoll(value.c_str(), nullptr, 10);
}

constexpr const char* kStatus = "/proc/self/status";

enum { kRowMajor = 101, kNoTranspose = 111 };  // of cblas.h
using Sgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float,
                       float*, int);

/// The library stays loaded: BLAS libraries have threads, and LibTorch uses the same one.
void* load_blas(std::string& name) {
  for (const char* candidate : {"libblas.so.3", "libopenblas.so.0"}) {
    void* library = dlopen(candidate, RTLD_NOW | RTLD_LOCAL);
    if (!library || !dlsym(library, "cblas_sgemm")) continue;
    name = candidate;
    if (void* configuration = dlsym(library, "openblas_get_config"))
      name = reinterpret_cast<char* (*)()>(configuration)();
    if (void* threads = dlsym(library, "openblas_set_num_threads"))
      reinterpret_cast<void (*)(int)>(threads)(1);
    return library;
  }
  return nullptr;
}

}  // namespace

std::string processor_name() {
  const std::string name = proc_value("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown" : name;
}

std::string pin_to_cores(int cores) {
  auto mine = usable_cores();
  if (mine.size() > static_cast<std::size_t>(cores)) mine.resize(static_cast<std::size_t>(cores));
  if (mine.empty() || !stay_on(mine)) return "not pinned";
  return fmt::format("pinned to core{} {}", mine.size() == 1 ? "" : "s", fmt::join(mine, ","));
}

Blas measure_blas() {
  constexpr int n = 384;  // about a millisecond: shorter than a scheduler's slice
  constexpr int kRepetitions = 100;
  Blas blas{"none", 0.0};
  void* library = load_blas(blas.name);
  if (!library) return blas;
  const auto sgemm = reinterpret_cast<Sgemm>(dlsym(library, "cblas_sgemm"));
  const std::vector<float> a(n * n, 0.5F), b(n * n, 0.25F);
  std::vector<float> c(n * n);
  for (int i = 0; i < kRepetitions; ++i) {
    const auto start = std::chrono::steady_clock::now();
    sgemm(kRowMajor, kNoTranspose, kNoTranspose, n, n, n, 1.0F, a.data(), n, b.data(), n, 0.0F, c.data(), n);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    blas.gflops = std::max(blas.gflops, 2.0 * n * n * n / took.count() / 1e9);
  }
  return blas;
}

std::int64_t resident_bytes() { return proc_bytes(kStatus, "VmRSS", 0); }

void forget_peak() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  std::ofstream("/proc/self/clear_refs") << "5\n";  // Linux: resets the peak to the current resident size
}

std::int64_t peak_resident_bytes() { return proc_bytes(kStatus, "VmHWM", 0); }

std::int64_t available_bytes() {
  return proc_bytes("/proc/meminfo", "MemAvailable", std::numeric_limits<std::int64_t>::max());
}

}  // namespace outerloop::cli
