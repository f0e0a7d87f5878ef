#pragma once
// Device, precision and threads of LibTorch, from the engine's options; errors name the key.
#include <ATen/ATen.h>

#include <cstdint>
#include <string>

#include "common/rule/engine.h"

namespace outerloop::rule::reference {

/// Precision and device of all tensors. Throws InputError if they are not available here.
at::TensorOptions tensor_options(const EngineOptions& options);

/// e.g. "cuda:1 with 139.8 GiB"; "cpu".
std::string describe_device(const EngineOptions& options);

/// Memory limit of one call on that device, in bytes; 0: no limit. Throws InputError if the limit is
/// automatic and the device's memory is unknown.
std::int64_t memory_budget_bytes(const EngineOptions& options, const c10::Device& device);

/// Throws InputError for an unknown instruction set.
void check_instruction_set(const std::string& name);

/// Sets the threads of LibTorch and of its BLAS, which ignores LibTorch's setting.
void set_threads(int threads);

/// Lets this process keep the memory that tensors on the CPU have freed. A truncation allocates the same
/// sizes again, and each return to the system costs page faults.
void keep_freed_memory();

/// "avx512", "avx2" or "baseline" on the CPU; "cuda".
std::string active_instruction_set(const c10::Device& device);

/// e.g. "LibTorch 1.13.1, OpenBLAS Cooperlake"
std::string library_description();

}  // namespace outerloop::rule::reference
