// Micro-kernel of all matrix products, the engine's only inner loop: a block of rows × vectors in registers,
// updated by fused multiply-adds along the reduction index. Included once per instruction set; see
// product.cpp.
#if defined(OUTERLOOP_COMMON_RULE_FUSED_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef OUTERLOOP_COMMON_RULE_FUSED_TILE_INL_H_
#undef OUTERLOOP_COMMON_RULE_FUSED_TILE_INL_H_
#else
#define OUTERLOOP_COMMON_RULE_FUSED_TILE_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace outerloop::rule::fused {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
// Internal linkage: convolution_bf16.cpp compiles these for more instructions than the others may use.
namespace {

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

/// Keeps the compiler from computing this pointer from another one.
template <class T>
HWY_INLINE void KeepInRegister(T*& pointer) {
#if HWY_COMPILER_GCC || HWY_COMPILER_CLANG
  asm("" : "+r"(pointer));
#endif
}

/// f(0), f(1), ... f(kCount - 1) with compile-time constants: an array indexed only by constants stays in
/// registers. The compiler unrolls loops too late for that.
template <class F, int... kIndices>
HWY_INLINE void UnrollIndices(const F& f, std::integer_sequence<int, kIndices...>) {
  (f(std::integral_constant<int, kIndices>()), ...);
}
template <int kCount, class F>
HWY_INLINE void Unroll(const F& f) {
  UnrollIndices(f, std::make_integer_sequence<int, kCount>());
}

/// Terms of the sums in Tile::Multiply: products of numbers.
template <class Real>
struct PlainTerms {
  using Number = Real;
  static HWY_INLINE Vector<Real> Load(const Real* b) { return hn::LoadU(Tag<Real>(), b); }
  static HWY_INLINE Vector<Real> Broadcast(Real a) { return hn::Set(Tag<Real>(), a); }
  static HWY_INLINE Vector<Real> MulAdd(Vector<Real> a, Vector<Real> b, Vector<Real> sum) {
    return hn::MulAdd(a, b, sum);
  }
};

template <class Real, int kRows, int kVectors>
struct Tile {
  static constexpr int kRowGroups = (kRows + 3) / 4;
  static constexpr int kSize = kRows * kVectors;
  Vector<Real> sum[kSize];  ///< [row][vector]

  HWY_INLINE void Zero() {
    Unroll<kSize>([this](auto i) HWY_ATTR { sum[i] = hn::Zero(Tag<Real>()); });
  }

  /// Every row starts from `start`.
  HWY_INLINE void Set(const Real* HWY_RESTRICT start) {
    Unroll<kSize>([this, start](auto i) HWY_ATTR {
      sum[i] = hn::LoadU(Tag<Real>(), start + (i % kVectors) * LanesOf<Real>());
    });
  }

  /// f(row, vector, sum) for every vector of the block.
  template <class F>
  HWY_INLINE void ForEach(const F& f) {
    Unroll<kSize>([this, &f](auto i) HWY_ATTR { f(i / kVectors, i % kVectors, sum[i]); });
  }

  HWY_INLINE void Load(const Real* c, std::int64_t c_row) {
    ForEach([=](int r, int v, Vector<Real>& to)
                HWY_ATTR { to = hn::LoadU(Tag<Real>(), c + r * c_row + v * LanesOf<Real>()); });
  }

  HWY_INLINE void Store(Real* c, std::int64_t c_row) {
    ForEach([=](int r, int v, Vector<Real> from)
                HWY_ATTR { hn::StoreU(from, Tag<Real>(), c + r * c_row + v * LanesOf<Real>()); });
  }

  /// sum[r] += Σ_k a[r * a_row + k * a_column] · b[k * b_row ..].
  template <class Terms = PlainTerms<Real>>
  HWY_INLINE void Multiply(std::int64_t k, const typename Terms::Number* HWY_RESTRICT a, std::int64_t a_row,
                           std::int64_t a_column, const typename Terms::Number* HWY_RESTRICT b,
                           std::int64_t b_row) {
    // One pointer for four rows: with one for each row the compiler runs out of registers for addresses.
    const typename Terms::Number* rows[kRowGroups];
    Unroll<kRowGroups>([&](auto g) HWY_ATTR { rows[g] = a + 4 * g * a_row; });
    for (std::int64_t i = 0; i < k; ++i) {
      decltype(Terms::Load(b)) right[kVectors];
      Unroll<kVectors>([&](auto v) HWY_ATTR { right[v] = Terms::Load(b + v * LanesOf<Real>()); });
      Unroll<kRowGroups>([&](auto g) HWY_ATTR { KeepInRegister(rows[g]); });
      Unroll<kRows>([&](auto r) HWY_ATTR {
        const auto left = Terms::Broadcast(rows[r / 4][(r % 4) * a_row]);
        Unroll<kVectors>([&](auto v) HWY_ATTR {
          constexpr int i_sum = r * kVectors + v;
          sum[i_sum] = Terms::MulAdd(left, right[v], sum[i_sum]);
        });
      });
      Unroll<kRowGroups>([&](auto g) HWY_ATTR { rows[g] += a_column; });
      b += b_row;
    }
  }
};

/// Calls f(std::integral_constant<int, rows>, first row) for blocks that together cover `rows`.
template <int kMost, class F>
HWY_INLINE void ForRowBlocks(std::int64_t rows, const F& f) {
  std::int64_t r = 0;
  for (; r + kMost <= rows; r += kMost) {
    if (kMost == 6 && rows - r == 8) break;  // 4 + 4: a block of 2 takes as long as one of 4
    f(std::integral_constant<int, kMost>(), r);
  }
  if constexpr (kMost > 8) {
    if (r + 8 <= rows) {
      f(std::integral_constant<int, 8>(), r);
      r += 8;
    }
  }
  for (; r + 4 <= rows; r += 4) f(std::integral_constant<int, 4>(), r);
  if (r + 2 <= rows) {
    f(std::integral_constant<int, 2>(), r);
    r += 2;
  }
  if (r < rows) f(std::integral_constant<int, 1>(), r);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace outerloop::rule::fused
HWY_AFTER_NAMESPACE();

#endif
