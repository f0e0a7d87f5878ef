#pragma once
// Matrix products (GEMM) of any size and orientation.
#include <cstdint>

#include "common/rule/fused/instruction_set.h"
#include "common/rule/fused/threads.h"

namespace outerloop::rule::fused {

/// A matrix by its strides, in numbers: element (i, j) is data[i * row + j * column]. One stride is usually
/// 1; swapped strides are the transpose.
template <class Real>
struct View {
  const Real* data = nullptr;
  std::int64_t row = 0;
  std::int64_t column = 1;

  View transposed() const { return {data, column, row}; }
};

/// c[m, n] = scale · a[m, k] b[k, n], added to the contents of c if `accumulate`. c is row-major and overlaps
/// neither a nor b. Every element is summed over k in order by one fused multiply-add after the other (where
/// the processor has them), so its bits do not depend on m, n, strides or alignment. Fastest where a's column
/// or row stride is 1 and b.column is 1.
template <class Real>
struct Product {
  std::int64_t m = 0, n = 0, k = 0;
  View<Real> a, b;
  Real* c = nullptr;
  std::int64_t c_row = 0;
  Real scale = 1;
  bool accumulate = false;
};

/// Kernels of one instruction set.
template <class Real>
struct ProductKernels {
  std::int64_t lanes = 1;  ///< numbers per vector
  std::int64_t panel = 2;  ///< columns of b packed at a time

  /// `workspace`: product_workspace(kernels, k) numbers.
  void (*multiply)(const Product<Real>& product, Real* workspace) = nullptr;
};

/// The table for float or double; lives for the whole process.
template <class Real>
const ProductKernels<Real>& product_kernels(InstructionSet set);

template <class Real>
std::int64_t product_workspace(const ProductKernels<Real>& kernels, std::int64_t k) {
  return (k + 1) * kernels.panel;
}

/// The products of one instruction set, on the threads of a pool. The bits do not depend on the number of
/// threads.
template <class Real>
class Products {
 public:
  /// `pool` null: on the caller's thread. Not owned.
  explicit Products(InstructionSet set, ThreadPool* pool = nullptr)
      : kernels_(product_kernels<Real>(set)), pool_(pool) {}

  /// `workspace`: this->workspace(k) numbers.
  void multiply(const Product<Real>& product, Real* workspace) const;

  std::int64_t workspace_per_thread(std::int64_t k) const { return product_workspace(kernels_, k); }
  std::int64_t workspace(std::int64_t k) const {
    return workspace_per_thread(k) * (pool_ ? pool_->threads() : 1);
  }

 private:
  const ProductKernels<Real>& kernels_;
  ThreadPool* pool_;
};

}  // namespace outerloop::rule::fused
