#pragma once
// Macros that define the function tables of a file that is compiled once per instruction set.

/// Use within HWY_NAMESPACE, after a template MakeKernels<Real>() that fills a Table<Real>: one table per
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

/// Use within `#if HWY_ONCE` and the namespace of `function`: defines function<float> and function<double>,
/// which give the tables of an instruction set.
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
