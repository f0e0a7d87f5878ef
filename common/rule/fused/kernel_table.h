#pragma once
// Macros that define the tables of functions of a file that is compiled once per instruction set.

/// Within HWY_NAMESPACE, behind a template MakeKernels<Real>() that fills a Table<Real>: one table per
/// precision.
#define OUTERLOOP_KERNEL_TABLES(Table)                 \
  const Table<float>& FloatKernels() {                 \
    static const auto kernels = MakeKernels<float>();  \
    return kernels;                                    \
  }                                                    \
  const Table<double>& DoubleKernels() {               \
    static const auto kernels = MakeKernels<double>(); \
    return kernels;                                    \
  }

/// Within `#if HWY_ONCE` and the namespace of `function`: defines function<float> and function<double>, which
/// give the tables of an instruction set.
#define OUTERLOOP_EXPORT_KERNELS(Table, function)             \
  HWY_EXPORT(FloatKernels);                                   \
  HWY_EXPORT(DoubleKernels);                                  \
  template <>                                                 \
  const Table<float>& function<float>(InstructionSet set) {   \
    const ForceInstructionSet force(set);                     \
    return HWY_DYNAMIC_DISPATCH(FloatKernels)();              \
  }                                                           \
  template <>                                                 \
  const Table<double>& function<double>(InstructionSet set) { \
    const ForceInstructionSet force(set);                     \
    return HWY_DYNAMIC_DISPATCH(DoubleKernels)();             \
  }
