// The backward pass with bfloat16 products and float32 sums: twice the products per instruction, on
// processors with VDPBF16PS. Highway 1.0 only emulates that instruction, so this file uses the compiler's.
//
// A product's terms are pairs: one 32-bit number holds two neighbours of the reduction, in bfloat16, and
// VDPBF16PS adds both products to a float32 sum. The gradient by the input reduces over the channels of dz,
// whose neighbours are already adjacent in a row. The gradient by the weights reduces over the batch, so rows
// are interleaved in pairs. A convolution along the batch also reads the input from odd rows on: this needs a
// second interleaved copy, one row later.
#include <algorithm>
#include <cstdint>
#include <string>

#include "common/base/error.h"
#include "common/rule/fused/convolution.h"
#include "common/rule/fused/convolution_lines.h"
#include "common/rule/fused/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/rule/fused/convolution_bf16.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, once per instruction set:
#include "hwy/highway.h"

// The targets that have the instruction; the processor is checked when an engine is made.
#undef OUTERLOOP_FUSED_BF16
#if HWY_ARCH_X86_64 && (HWY_COMPILER_CLANG || HWY_COMPILER_GCC_ACTUAL >= 1100)
#define OUTERLOOP_FUSED_BF16 1
#else
#define OUTERLOOP_FUSED_BF16 0
#endif

#if OUTERLOOP_FUSED_BF16 && HWY_TARGET == HWY_AVX3
// The code below is compiled for one more instruction-set extension than Highway's functions, included above.
#undef HWY_TARGET_STR
#define HWY_TARGET_STR HWY_TARGET_STR_AVX3 ",avx512bf16"

#include <immintrin.h>

#include "common/rule/fused/convolution-inl.h"
#include "common/rule/fused/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace outerloop::rule::fused {
namespace HWY_NAMESPACE {
namespace {

constexpr std::int64_t kPart = 32;  ///< rows of dz at a time; even

/// Two neighbours in bfloat16, the first in the lower half.
using Pair = std::uint32_t;

/// Terms of the sums in Tile::Multiply: products of pairs.
struct PairTerms {
  using Number = Pair;
  static HWY_INLINE __m512i Load(const Pair* b) { return _mm512_loadu_si512(b); }
  static HWY_INLINE __m512i Broadcast(Pair a) { return _mm512_set1_epi32(static_cast<int>(a)); }
  static HWY_INLINE Vector<float> MulAdd(__m512i a, __m512i b, Vector<float> sum) {
    return Vector<float>{_mm512_dpbf16_ps(sum.raw, (__m512bh)a, (__m512bh)b)};
  }
};

/// Two vectors in bfloat16, rounded to nearest even: `first` in the lower half.
HWY_INLINE __m512i ToBfloat16(Vector<float> first, Vector<float> second) {
  return (__m512i)_mm512_cvtne2ps_pbh(second.raw, first.raw);
}

/// Reorders two halves, one after the other, into pairs.
HWY_INLINE __m512i Interleave(__m512i halves) {
  alignas(64) static constexpr std::uint16_t kOrder[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                           21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                           11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(kOrder), halves);
}

/// Rows 0 and 1, 2 and 3, ... of `from` as rows of pairs; a missing last row counts as zero.
HWY_NOINLINE void PairRows(const float* HWY_RESTRICT from, std::int64_t rows, std::int64_t pitch,
                           std::int64_t channels, Pair* HWY_RESTRICT to) {
  const Tag<float> d;
  for (std::int64_t r = 0; r < rows; r += 2, from += 2 * pitch, to += pitch)
    ForVectors<float>(channels, [&](std::int64_t c) HWY_ATTR {
      const auto second = r + 1 < rows ? hn::LoadU(d, from + pitch + c) : hn::Zero(d);
      _mm512_storeu_si512(to + c, Interleave(ToBfloat16(hn::LoadU(d, from + c), second)));
    });
}

/// dz [batch, pitch] both ways: rows in pairs, and each row's channels in pairs [batch, row_pitch].
HWY_NOINLINE void PairGradient(const float* HWY_RESTRICT dz, std::int64_t batch, std::int64_t pitch,
                               std::int64_t channels, Pair* HWY_RESTRICT by_rows,
                               Pair* HWY_RESTRICT by_channels, std::int64_t channel_pitch) {
  const Tag<float> d;
  for (std::int64_t b = 0; b < batch; b += 2) {
    const bool two = b + 1 < batch;
    ForVectors<float>(channels, [&](std::int64_t c) HWY_ATTR {
      const float* from = dz + b * pitch + c;
      const auto halves = ToBfloat16(hn::LoadU(d, from), two ? hn::LoadU(d, from + pitch) : hn::Zero(d));
      _mm512_storeu_si512(by_rows + b / 2 * pitch + c, Interleave(halves));
      Pair* to = by_channels + b * channel_pitch + c / 2;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(halves));
      if (two)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + channel_pitch),
                            _mm512_extracti64x4_epi64(halves, 1));
    });
  }
}

/// BackwardPass::transposed with its outputs in pairs: [panel of inputs][tap][(channels + 1) / 2][width].
void PairWeights(const BackwardPass<float>& p, Pair* to) {
  const std::int64_t lanes = LanesOf<float>(), depth = (p.channels + 1) / 2;
  const float* from = p.transposed;
  for (std::int64_t c = 0; c < p.source.padded; c += 2 * lanes) {
    const std::int64_t width = std::min(2 * lanes, p.source.padded - c);
    for (std::int64_t j = 0; j < p.taps; ++j, from += p.channels * width, to += depth * width)
      PairRows(from, p.channels, width, width, to);
  }
}

/// Prefetches the stored lines that come next, a few cache lines with each tile. The bfloat16 products finish
/// before hardware prefetching, which starts only when a line is read, could bring the data.
class Ahead {
 public:
  void Add(const float* from, std::int64_t count) {
    at_[ranges_] = reinterpret_cast<const char*>(from);
    end_[ranges_++] = reinterpret_cast<const char*>(from + count);
    lines_ += (count * static_cast<std::int64_t>(sizeof(float)) + kLine - 1) / kLine;
  }
  /// Spreads the prefetch over `times` calls of Fetch.
  void Spread(std::int64_t times) { each_ = (lines_ + times - 1) / times; }
  HWY_INLINE void Fetch() {
    for (std::int64_t n = each_; n > 0 && now_ < ranges_; --n) {
      _mm_prefetch(at_[now_], _MM_HINT_T1);
      at_[now_] += kLine;
      if (at_[now_] >= end_[now_]) ++now_;
    }
  }

 private:
  static constexpr std::int64_t kLine = 64;  ///< bytes
  static constexpr int kMost = 6;            ///< z, g, z0, z1, d_input, skip
  const char *at_[kMost], *end_[kMost];
  int ranges_ = 0, now_ = 0;
  std::int64_t lines_ = 0, each_ = 0;
};

struct PairProducts : LineProducts<PairTerms> {
  mutable Ahead ahead;

  template <class T>
  HWY_INLINE void ByWeight(T& tile, std::int64_t j, std::int64_t i, std::int64_t o) const {
    ahead.Fetch();
    LineProducts::ByWeight(tile, j, i, o);
  }
  template <class T>
  HWY_INLINE void ByInput(T& tile, std::int64_t r, std::int64_t c) const {
    ahead.Fetch();
    LineProducts::ByInput(tile, r, c);
  }
};

/// The pass and its workspace. Lines in float32 are as in convolution.cpp.
class MixedBackward {
 public:
  MixedBackward(const BackwardPass<float>& pass, float* workspace);
  void Fill(std::int64_t unit);
  /// `block`: the pass with the sums of the unit's block.
  void Line(const BackwardPass<float>& block, std::int64_t unit) const;

 private:
  void LookAhead(std::int64_t unit, Ahead& ahead) const;

  const BackwardPass<float>& p_;
  bool along_batch_, two_;
  std::int64_t in_pitch_, out_pitch_, channel_pitch_;
  std::int64_t edge_;         ///< rows of zeros at either end of a line
  float *input_, *gradient_;  ///< of the unit that is filled
  Ring<float> normalised_;    ///< the factor in sum_normalised
  Ring<Pair> inputs_[2];      ///< rows in pairs, from row 0 and from row 1 on
  Ring<Pair> by_rows_, by_channels_;
  Pair* weights_;
};

MixedBackward::MixedBackward(const BackwardPass<float>& pass, float* workspace)
    : p_(pass),
      along_batch_(pass.axis == Axis::batch),
      two_(pass.source.kind == SourceKind::relu_sum && pass.sum) {
  const std::int64_t lanes = LanesOf<float>(), widest = std::max(p_.source.padded, p_.outputs);
  in_pitch_ = row_pitch(p_.source.padded, lanes);
  out_pitch_ = row_pitch(p_.outputs, lanes);
  channel_pitch_ = p_.outputs / 2;
  edge_ = along_batch_ ? (p_.taps - 1) / 2 : 0;
  const std::int64_t count = along_batch_ ? 1 : p_.taps;
  Scratch<float> floats(workspace, p_.batch, p_.taps, widest, lanes);
  gradient_ = floats.line();
  input_ = floats.ring(1, nullptr, edge_ * in_pitch_, p_.batch * in_pitch_)[0];
  normalised_ = floats.ring(count, nullptr, edge_ * in_pitch_, p_.batch * in_pitch_);

  Scratch<Pair> pairs(reinterpret_cast<Pair*>(floats.rest()), p_.batch, p_.taps, widest, lanes);
  Pair* const zeros = along_batch_ ? nullptr : pairs.zeros();
  inputs_[0] = pairs.ring(count, zeros, 0, 0);
  if (along_batch_ && p_.taps > 1) inputs_[1] = pairs.ring(1, zeros, 0, 0);
  by_rows_ = pairs.ring(count, zeros, 0, 0);
  by_channels_ = pairs.ring(count, zeros, edge_ * channel_pitch_, p_.batch * channel_pitch_);
  weights_ = pairs.rest();
  if (p_.d_input) PairWeights(p_, weights_);
}

/// Reads a unit's input and dz, and turns them into pairs.
void MixedBackward::Fill(std::int64_t unit) {
  // With two rectified inputs the sums need the second alone; otherwise they need what the taps read.
  float* const normalised = normalised_[unit];
  float* const input = two_ ? input_ : normalised;
  FillInput(p_.source, unit, p_.batch, in_pitch_, input + edge_ * in_pitch_,
            two_ ? normalised + edge_ * in_pitch_ : nullptr);
  const std::int64_t rows = p_.batch + 2 * edge_;
  PairRows(input, rows, in_pitch_, p_.source.padded, inputs_[0][unit]);
  if (inputs_[1].count > 0)
    PairRows(input + in_pitch_, rows - 1, in_pitch_, p_.source.padded, inputs_[1][unit]);

  // In parts, so that fresh rows are paired while still in the first-level cache.
  BackwardPass<float> part = p_;
  for (std::int64_t b = 0; b < p_.batch; b += kPart) {
    part.batch = std::min(kPart, p_.batch - b);
    part.g = p_.g + unit * p_.g_unit + b * p_.outputs;
    if (p_.z) part.z = p_.z + (unit * p_.batch + b) * p_.outputs;
    float* const dz = gradient_ + b * out_pitch_;
    FillGradient(part, 0, out_pitch_, dz);
    PairGradient(dz, part.batch, out_pitch_, p_.outputs, by_rows_[unit] + b / 2 * out_pitch_,
                 by_channels_[unit] + (edge_ + b) * channel_pitch_, channel_pitch_);
  }
  if (!(p_.d_bias || p_.per_unit) || !p_.computes(unit)) return;
  // Filled lines may be a block ahead of multiplied ones.
  BackwardPass<float> block = p_;
  block.skip_blocks(unit / kBlockLines - p_.first / kBlockLines);
  SumGradient(block, gradient_, out_pitch_, unit);
}

/// The memory that the next Fill reads, and that the next Line adds to or overwrites.
void MixedBackward::LookAhead(std::int64_t unit, Ahead& ahead) const {
  const std::int64_t in = p_.batch * p_.source.padded, out = p_.batch * p_.outputs;
  const std::int64_t fill = FilledNext(p_, unit);
  if (fill < p_.units) {
    if (p_.z) ahead.Add(p_.z + fill * out, out);
    if (p_.g_unit > 0) ahead.Add(p_.g + fill * p_.g_unit, out);
    if (p_.source.kind == SourceKind::plain)
      ahead.Add(p_.source.z0 + fill * p_.source.z0_unit, in);
    else if (p_.source.kind != SourceKind::single)
      ahead.Add(p_.source.z0 + fill * in, in);
    if (p_.source.kind == SourceKind::relu_sum) ahead.Add(p_.source.z1 + fill * in, in);
  }
  if (p_.d_input && unit + 1 < p_.units) {
    ahead.Add(p_.d_input + (unit + 1) * in, in);
    if (p_.skip && p_.skip != p_.d_input) ahead.Add(p_.skip + (unit + 1) * in, in);
  }
  const auto blocks = [](std::int64_t size, std::int64_t block) { return (size + block - 1) / block; };
  const std::int64_t width = 2 * LanesOf<float>();
  ahead.Spread(p_.taps * blocks(p_.source.inputs, kRowsOfOne) * blocks(p_.outputs, width) +
               blocks(p_.batch, kRowsOfOne) * blocks(p_.source.padded, width));
}

void MixedBackward::Line(const BackwardPass<float>& block, std::int64_t unit) const {
  PairProducts products;
  products.dz = by_rows_[unit];
  products.transposed = weights_;
  products.taps = p_.taps;
  products.rows = (p_.batch + 1) / 2;
  products.depth = (p_.channels + 1) / 2;
  products.in_pitch = in_pitch_;
  products.dz_pitch = out_pitch_;
  products.gradient_pitch = channel_pitch_;
  for (std::int64_t j = 0; j < p_.taps; ++j) {
    products.inputs[j] = along_batch_ ? inputs_[j % 2][unit] + j / 2 * in_pitch_
                                      : tap_rows(inputs_[0], p_.axis, p_.taps, in_pitch_, j, unit, p_.units);
    products.gradients[j] = tap_rows(by_channels_, p_.axis, p_.taps, channel_pitch_, j, unit, p_.units);
  }
  LookAhead(unit, products.ahead);
  BackwardPanels(block, products, normalised_[unit] + edge_ * in_pitch_, in_pitch_, LinesAhead<float>(),
                 unit);
}

void BackwardInPairs(const BackwardPass<float>& p, float* workspace) {
  MixedBackward pass(p, workspace);
  const auto fill = [&](std::int64_t unit) HWY_ATTR { pass.Fill(unit); };
  ForLines(p, fill,
           [&](const BackwardPass<float>& block, std::int64_t unit) HWY_ATTR { pass.Line(block, unit); });
}

}  // namespace

ConvolutionKernels<float> MixedConvolutions() {
  auto kernels = convolution_kernels<float>(HWY_AVX3);
  kernels.backward = &BackwardInPairs;
  return kernels;
}

}  // namespace HWY_NAMESPACE
}  // namespace outerloop::rule::fused
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace outerloop::rule::fused {
namespace {

/// The reason why bfloat16 products are unavailable; empty if they are available.
std::string missing_for_mixed([[maybe_unused]] InstructionSet set) {
#if OUTERLOOP_FUSED_BF16 && (HWY_TARGETS & HWY_AVX3)
  if (!__builtin_cpu_supports("avx512bf16")) return "a processor with avx512_bf16, which this one lacks";
  if (set != HWY_AVX3) return "engine.instruction_set: avx512 (or auto) and not " + instruction_set_name(set);
  return "";
#else
  return "an x86-64 processor with avx512_bf16 and a build by gcc 11, clang or later, which this is not";
#endif
}

}  // namespace

const ConvolutionKernels<float>& mixed_convolution_kernels(InstructionSet set) {
  const auto missing = missing_for_mixed(set);
#if OUTERLOOP_FUSED_BF16 && (HWY_TARGETS & HWY_AVX3)
  if (missing.empty()) {
    static const auto kernels = N_AVX3::MixedConvolutions();
    return kernels;
  }
#endif
  throw InputError("engine.precision: mixed needs " + missing + "; use float32");
}

}  // namespace outerloop::rule::fused
#endif
