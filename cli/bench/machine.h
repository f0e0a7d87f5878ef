#pragma once
// Properties of the benchmark machine: processor name, peak FLOP rate, BLAS, pinning and resident memory.
#include <cstdint>
#include <string>

#include "common/rule/fused/instruction_set.h"

namespace outerloop::cli {

/// The processor's name; "unknown" if the system does not report it.
std::string processor_name();

/// Pins this process and its later threads to the first `cores` usable cores, or to all if there are fewer.
/// Returns a description, e.g. "pinned to core 0".
std::string pin_to_cores(int cores);

/// Peak rate of one core in 1e9 FLOP/s (a multiply-add counts twice): the best of several runs of a loop that
/// stays in registers (float32).
double fma_peak_gflops(rule::fused::InstructionSet set);

/// A BLAS library and its best rate on a float32 product of 384 x 384 matrices with one thread.
struct Blas {
  std::string name;     ///< e.g. "OpenBLAS 0.3.21 ...", "none"
  double gflops = 0.0;  ///< 0: none was found
};

/// The rate of the library that LibTorch also uses (libblas.so.3), or of OpenBLAS.
Blas measure_blas();

/// Resident memory of this process, in bytes; 0 if the system does not report it.
std::int64_t resident_bytes();

/// Resets `peak_resident_bytes` and returns freed memory to the system.
void forget_peak();
std::int64_t peak_resident_bytes();

/// Memory available without swapping, in bytes; a very large number if the system does not report it.
std::int64_t available_bytes();

}  // namespace outerloop::cli
