#pragma once
// The machine that a benchmark runs on: processor name, peak FLOP rate, BLAS, pinning and resident memory.
#include <cstdint>
#include <string>

#include "common/rule/fused/instruction_set.h"

namespace outerloop::cli {

/// The processor's name; "unknown" where the system does not say.
std::string processor_name();

/// This process and its later threads stay on the first `cores` cores that it may use, or on all where there
/// are fewer. Returns what was done, e.g. "pinned to core 0".
std::string pin_to_cores(int cores);

/// Multiply-adds that one core can do in a second, times two, in 1e9/s: the best of several runs of a loop
/// that stays in registers (float32).
double fma_peak_gflops(rule::fused::InstructionSet set);

/// A BLAS and its best rate on a float32 product of 384 x 384 matrices with one thread.
struct Blas {
  std::string name;     ///< e.g. "OpenBLAS 0.3.21 ...", "none"
  double gflops = 0.0;  ///< 0: none was found
};

/// That of the library that LibTorch uses too (libblas.so.3), or of OpenBLAS.
Blas measure_blas();

/// Resident memory of this process, in bytes; 0 where the system does not say.
std::int64_t resident_bytes();

/// From here on `peak_resident_bytes` counts anew, and memory that was freed is given back to the system.
void forget_peak();
std::int64_t peak_resident_bytes();

/// Memory that could be had without swapping, in bytes; a very large number where the system does not say.
std::int64_t available_bytes();

}  // namespace outerloop::cli
