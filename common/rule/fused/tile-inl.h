// The one inner loop of the engine: a block of rows × vectors held in registers, one fused multiply-add after
// another over the reduction index. Included once per instruction set; see product.cpp.
#if defined(OUTERLOOP_COMMON_RULE_FUSED_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef OUTERLOOP_COMMON_RULE_FUSED_TILE_INL_H_
#undef OUTERLOOP_COMMON_RULE_FUSED_TILE_INL_H_
#else
#define OUTERLOOP_COMMON_RULE_FUSED_TILE_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace outerloop::rule::fused {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class Real>
using Tag = hn::ScalableTag<Real>;
template <class Real>
using Vector = hn::Vec<Tag<Real>>;

template <class Real>
HWY_INLINE std::int64_t LanesOf() {
  return static_cast<std::int64_t>(hn::Lanes(Tag<Real>()));
}

// Rows of a register block for one and for two vectors per row. With 32 registers, 16 accumulators cover the
// latency of the multiply-add and leave room for b and the broadcasts; with 16 registers 12 fit.
#if HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kRowsOfOne = 16;
constexpr int kRowsOfTwo = 8;
#else
constexpr int kRowsOfOne = 12;
constexpr int kRowsOfTwo = 6;
#endif

template <class Real, int kRows, int kVectors>
struct Tile {
  Vector<Real> sum[kRows][kVectors];

  HWY_INLINE void Zero() {
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(Tag<Real>());
  }

  /// Every row starts from `start`.
  HWY_INLINE void Set(const Real* HWY_RESTRICT start) {
    const Tag<Real> d;
    for (int v = 0; v < kVectors; ++v) {
      const auto value = hn::LoadU(d, start + v * LanesOf<Real>());
      for (int r = 0; r < kRows; ++r) sum[r][v] = value;
    }
  }

  HWY_INLINE void Load(const Real* c, std::int64_t c_row) {
    const Tag<Real> d;
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::LoadU(d, c + r * c_row + v * LanesOf<Real>());
  }

  HWY_INLINE void Store(Real* c, std::int64_t c_row) const {
    const Tag<Real> d;
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], d, c + r * c_row + v * LanesOf<Real>());
  }

  /// sum[r] += Σ_k a[r * a_row + k * a_column] · b[k * b_row ..].
  HWY_INLINE void Multiply(std::int64_t k, const Real* HWY_RESTRICT a, std::int64_t a_row,
                           std::int64_t a_column, const Real* HWY_RESTRICT b, std::int64_t b_row) {
    const Tag<Real> d;
    // A copy that no pointer can reach stays in registers.
    Vector<Real> own[kRows][kVectors];
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVectors; ++v) own[r][v] = sum[r][v];
    for (std::int64_t i = 0; i < k; ++i) {
      Vector<Real> right[kVectors];
      for (int v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, b + v * LanesOf<Real>());
      for (int r = 0; r < kRows; ++r) {
        const auto left = hn::Set(d, a[r * a_row]);
        for (int v = 0; v < kVectors; ++v) own[r][v] = hn::MulAdd(left, right[v], own[r][v]);
      }
      a += a_column;
      b += b_row;
    }
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVectors; ++v) sum[r][v] = own[r][v];
  }
};

/// Calls f(std::integral_constant<int, rows>, first row) for blocks that together cover `rows`.
template <int kMost, class F>
HWY_INLINE void ForRowBlocks(std::int64_t rows, const F& f) {
  std::int64_t r = 0;
  for (; r + kMost <= rows; r += kMost) f(std::integral_constant<int, kMost>(), r);
  if constexpr (kMost > 8) {
    if (r + 8 <= rows) {
      f(std::integral_constant<int, 8>(), r);
      r += 8;
    }
  }
  if (r + 4 <= rows) {
    f(std::integral_constant<int, 4>(), r);
    r += 4;
  }
  if (r + 2 <= rows) {
    f(std::integral_constant<int, 2>(), r);
    r += 2;
  }
  if (r < rows) f(std::integral_constant<int, 1>(), r);
}

}  // namespace HWY_NAMESPACE
}  // namespace outerloop::rule::fused
HWY_AFTER_NAMESPACE();

#endif
