#include "common/rule/fused/product.h"

#include "common/rule/fused/kernel_table.h"
#include "common/rule/fused/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/rule/fused/product.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, once per instruction set:
#include "common/rule/fused/tile-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace outerloop::rule::fused {
namespace HWY_NAMESPACE {
namespace {

/// Four columns of b from `first` on. Where b is a transpose, the numbers of a column are contiguous.
template <class Real>
HWY_INLINE void PackFour(const Product<Real>& p, std::int64_t first, std::int64_t width, Real* to) {
  const View<Real>& b = p.b;
  const Real* f0 = b.data + first * b.column;
  const Real *f1 = f0 + b.column, *f2 = f1 + b.column, *f3 = f2 + b.column;
  std::int64_t k = 0;
#if HWY_TARGET != HWY_SCALAR
  if constexpr (sizeof(Real) == 4) {
    const hn::FixedTag<Real, 4> d;
    for (; b.row == 1 && k + 4 <= p.k; k += 4, to += 4 * width) {
      const auto v0 = hn::LoadU(d, f0 + k), v1 = hn::LoadU(d, f1 + k), v2 = hn::LoadU(d, f2 + k),
                 v3 = hn::LoadU(d, f3 + k);
      const auto low01 = hn::InterleaveLower(d, v0, v1), high01 = hn::InterleaveUpper(d, v0, v1);
      const auto low23 = hn::InterleaveLower(d, v2, v3), high23 = hn::InterleaveUpper(d, v2, v3);
      hn::StoreU(hn::ConcatLowerLower(d, low23, low01), d, to);
      hn::StoreU(hn::ConcatUpperUpper(d, low23, low01), d, to + width);
      hn::StoreU(hn::ConcatLowerLower(d, high23, high01), d, to + 2 * width);
      hn::StoreU(hn::ConcatUpperUpper(d, high23, high01), d, to + 3 * width);
    }
  }
#endif
  for (; k < p.k; ++k, to += width) {
    const std::int64_t i = k * b.row;
    to[0] = f0[i];
    to[1] = f1[i];
    to[2] = f2[i];
    to[3] = f3[i];
  }
}

/// Columns first .. first + count - 1 of b as rows of `width` numbers, filled up with zeros.
template <class Real>
void Pack(const Product<Real>& p, std::int64_t first, std::int64_t count, std::int64_t width, Real* packed) {
  const View<Real>& b = p.b;
  if (b.column == 1) {
    const Tag<Real> d;
    const std::int64_t lanes = LanesOf<Real>();
    for (std::int64_t k = 0; k < p.k; ++k) {
      const Real* from = b.data + k * b.row + first;
      Real* to = packed + k * width;
      std::int64_t j = 0;
      for (; j + lanes <= count; j += lanes) hn::StoreU(hn::LoadU(d, from + j), d, to + j);
      for (; j < count; ++j) to[j] = from[j];
      for (; j < width; ++j) to[j] = 0;
    }
    return;
  }
  std::int64_t j = 0;
  for (; j + 4 <= count; j += 4) PackFour(p, first + j, width, packed + j);
  for (; j < width; ++j)
    for (std::int64_t k = 0; k < p.k; ++k)
      packed[k * width + j] = j < count ? b.data[k * b.row + (first + j) * b.column] : 0;
}

/// Rows of one panel of `kVectors` vectors, of which `count` columns are c's.
template <int kVectors, class Real>
HWY_NOINLINE void MultiplyPanel(const Product<Real>& p, std::int64_t first, std::int64_t count,
                                const Real* packed) {
  const Tag<Real> d;
  const std::int64_t lanes = LanesOf<Real>(), width = kVectors * lanes;
  const auto scale = hn::Set(d, p.scale);
  constexpr int kRows = kVectors == 1 ? kRowsOfOne : kRowsOfTwo;
  ForRowBlocks<kRows>(p.m, [&](auto rows, std::int64_t r) HWY_ATTR {
    Tile<Real, rows, kVectors> tile;
    tile.Zero();
    tile.Multiply(p.k, p.a.data + r * p.a.row, p.a.row, p.a.column, packed, width);
    Real* c = p.c + r * p.c_row + first;
    if (count == width) {
      tile.ForEach([&](int i, int v, Vector<Real> sum) HWY_ATTR {
        Real* to = c + i * p.c_row + v * lanes;
        const auto value = hn::Mul(scale, sum);
        hn::StoreU(p.accumulate ? hn::Add(value, hn::LoadU(d, to)) : value, d, to);
      });
      return;
    }
    HWY_ALIGN Real edge[2 * HWY_MAX_BYTES / sizeof(Real)] = {};
    tile.ForEach([&](int i, int v, Vector<Real> sum) HWY_ATTR {
      hn::StoreU(hn::Mul(scale, sum), d, edge + v * lanes);
      if (v + 1 < kVectors) return;
      Real* to = c + i * p.c_row;
      for (std::int64_t j = 0; j < count; ++j) to[j] = p.accumulate ? to[j] + edge[j] : edge[j];
    });
  });
}

template <class Real>
void Multiply(const Product<Real>& p, Real* workspace) {
  const std::int64_t lanes = LanesOf<Real>();
  for (std::int64_t first = 0; first < p.n; first += 2 * lanes) {
    const std::int64_t count = std::min(p.n - first, 2 * lanes);
    const int vectors = count > lanes ? 2 : 1;
    Pack(p, first, count, vectors * lanes, workspace);
    if (vectors == 2)
      MultiplyPanel<2>(p, first, count, workspace);
    else
      MultiplyPanel<1>(p, first, count, workspace);
  }
}

template <class Real>
ProductKernels<Real> MakeKernels() {
  ProductKernels<Real> kernels;
  kernels.lanes = LanesOf<Real>();
  kernels.panel = 2 * kernels.lanes;
  kernels.multiply = &Multiply<Real>;
  return kernels;
}

OUTERLOOP_KERNEL_TABLES(ProductKernels)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace outerloop::rule::fused
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace outerloop::rule::fused {

OUTERLOOP_EXPORT_KERNELS(ProductKernels, product_kernels)

template <class Real>
void Products<Real>::multiply(const Product<Real>& p, Real* workspace) const {
  constexpr std::int64_t kSmall = 250000;  ///< multiplications in about 5 microseconds
  constexpr std::int64_t kRows = 24;       ///< a multiple of the register blocks' 6, 8 and 12 rows
  if (!pool_ || pool_->threads() == 1 || p.m * p.n * p.k < kSmall) return kernels_.multiply(p, workspace);
  // Splits c along its longer side, so that little of a and b is read more than once.
  const bool by_columns = p.n >= p.m;
  const std::int64_t length = by_columns ? p.n : p.m, step = by_columns ? kernels_.panel : kRows;
  const std::int64_t one = product_workspace(kernels_, p.k);
  pool_->for_blocks((length + step - 1) / step, [&](std::int64_t first, std::int64_t last, int thread) {
    const std::int64_t begin = first * step, end = std::min(length, last * step);
    Product<Real> part = p;
    if (by_columns) {
      part.n = end - begin;
      part.b.data += begin * p.b.column;
      part.c += begin;
    } else {
      part.m = end - begin;
      part.a.data += begin * p.a.row;
      part.c += begin * p.c_row;
    }
    kernels_.multiply(part, workspace + thread * one);
  });
}

template class Products<float>;
template class Products<double>;

}  // namespace outerloop::rule::fused
#endif
