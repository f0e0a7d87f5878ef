// Convolution kernels shared by all precisions: reading a line from the stored tensors, and the backward pass
// of one line. Included once per instruction set; see convolution.cpp and convolution_bf16.cpp.
#if defined(OUTERLOOP_COMMON_RULE_FUSED_CONVOLUTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef OUTERLOOP_COMMON_RULE_FUSED_CONVOLUTION_INL_H_
#undef OUTERLOOP_COMMON_RULE_FUSED_CONVOLUTION_INL_H_
#else
#define OUTERLOOP_COMMON_RULE_FUSED_CONVOLUTION_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "common/rule/fused/convolution.h"
#include "common/rule/fused/convolution_lines.h"
#include "common/rule/fused/tile-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace outerloop::rule::fused {
namespace HWY_NAMESPACE {
// Internal linkage: each file compiles these for the instructions that its own kernels may use.
namespace {

/// Applies f(first channel of a vector) to all vectors of `channels`.
template <class Real, class F>
HWY_INLINE void ForVectors(std::int64_t channels, const F& f) {
  for (std::int64_t c = 0; c < channels; c += LanesOf<Real>()) f(c);
}

/// Fills the scratch line of `unit` from the stored tensors; `second`, where given, receives relu(ẑ1) alone.
template <class Real>
HWY_NOINLINE void FillInput(const Source<Real>& s, std::int64_t unit, std::int64_t batch, std::int64_t pitch,
                            Real* HWY_RESTRICT line, Real* HWY_RESTRICT second) {
  const Tag<Real> d;
  const auto zero = hn::Zero(d);
  if (s.kind == SourceKind::single) {
    for (std::int64_t b = 0; b < batch; ++b) {
      std::fill_n(line + b * pitch, s.padded, Real(0));
      line[b * pitch] = s.z0[unit * batch + b];
    }
    return;
  }
  const std::int64_t stored = unit * batch * s.padded;
  ForVectors<Real>(s.padded, [&](std::int64_t c) HWY_ATTR {
    Real* to = line + c;
    if (s.kind == SourceKind::plain) {
      const Real* z0 = s.z0 + unit * s.z0_unit + c;
      for (std::int64_t b = 0; b < batch; ++b) hn::StoreU(hn::LoadU(d, z0 + b * s.padded), d, to + b * pitch);
      return;
    }
    const Real* z0 = s.z0 + stored + c;
    const auto scale0 = hn::LoadU(d, s.norm0.scale + c), shift0 = hn::LoadU(d, s.norm0.shift + c);
    if (s.kind == SourceKind::affine) {
      for (std::int64_t b = 0; b < batch; ++b)
        hn::StoreU(hn::MulAdd(hn::LoadU(d, z0 + b * s.padded), scale0, shift0), d, to + b * pitch);
      return;
    }
    if (s.kind == SourceKind::relu) {
      for (std::int64_t b = 0; b < batch; ++b)
        hn::StoreU(hn::Max(zero, hn::MulAdd(hn::LoadU(d, z0 + b * s.padded), scale0, shift0)), d,
                   to + b * pitch);
      return;
    }
    const Real* z1 = s.z1 + stored + c;
    const auto scale1 = hn::LoadU(d, s.norm1.scale + c), shift1 = hn::LoadU(d, s.norm1.shift + c);
    for (std::int64_t b = 0; b < batch; ++b) {
      const auto r0 = hn::Max(zero, hn::MulAdd(hn::LoadU(d, z0 + b * s.padded), scale0, shift0));
      const auto r1 = hn::Max(zero, hn::MulAdd(hn::LoadU(d, z1 + b * s.padded), scale1, shift1));
      hn::StoreU(hn::Add(r0, r1), d, to + b * pitch);
      if (second) hn::StoreU(r1, d, second + c + b * pitch);
    }
  });
}

/// Fills the scratch line of dz.
template <class Real>
HWY_NOINLINE void FillGradient(const BackwardPass<Real>& p, std::int64_t unit, std::int64_t pitch,
                               Real* HWY_RESTRICT line) {
  const Tag<Real> d;
  const std::int64_t stored = unit * p.batch * p.outputs;
  ForVectors<Real>(p.outputs, [&](std::int64_t o) HWY_ATTR {
    const Real* g = p.g + unit * p.g_unit + o;
    Real* to = line + o;
    if (!p.z) {
      for (std::int64_t b = 0; b < p.batch; ++b)
        hn::StoreU(hn::LoadU(d, g + b * p.outputs), d, to + b * pitch);
      return;
    }
    const Real* z = p.z + stored + o;
    const auto scale = hn::LoadU(d, p.norm.scale + o), shift = hn::LoadU(d, p.norm.shift + o);
    const auto a = hn::LoadU(d, p.a + o), slope = hn::LoadU(d, p.b + o), start = hn::LoadU(d, p.c + o);
    for (std::int64_t b = 0; b < p.batch; ++b) {
      const auto value = hn::LoadU(d, z + b * p.outputs);
      const auto alive = hn::Gt(hn::MulAdd(value, scale, shift), hn::Zero(d));
      const auto masked = hn::IfThenElseZero(alive, hn::LoadU(d, g + b * p.outputs));
      hn::StoreU(hn::MulAdd(a, masked, hn::MulAdd(slope, value, start)), d, to + b * pitch);
    }
  });
}

/// Prefetches the stored lines that a pass reads and writes next, each tile its own rows of them. The
/// hardware's own prefetching stops at the end of a page, and lines are about as long as pages.
template <class Real>
class LinesAhead {
 public:
  /// A line [batch, pitch]; at most kMost.
  void Add(const Real* line, std::int64_t pitch) { lines_[count_++] = {line, pitch}; }

  /// What FillInput reads for `unit`.
  void AddSource(const Source<Real>& s, std::int64_t unit, std::int64_t batch) {
    const std::int64_t line = batch * s.padded;
    if (s.kind == SourceKind::single) return;
    Add(s.z0 + unit * (s.kind == SourceKind::plain ? s.z0_unit : line), s.padded);
    if (s.kind == SourceKind::relu_sum) Add(s.z1 + unit * line, s.padded);
  }

  /// Rows r .. and `kVectors` vectors of channels, c .., of all lines.
  template <int kRows, int kVectors>
  HWY_INLINE void Fetch(std::int64_t r, std::int64_t c) const {
    constexpr std::int64_t kCacheLine = 64 / sizeof(Real);
    for (int i = 0; i < count_; ++i) {
      const std::int64_t pitch = lines_[i].pitch;
      const Real* const at = lines_[i].first + r * pitch;
      for (std::int64_t j = c; j < std::min(c + kVectors * LanesOf<Real>(), pitch); j += kCacheLine)
        Unroll<kRows>([=](auto row) HWY_ATTR { FetchCacheLine(at + row * pitch + j); });
    }
  }

 private:
  static HWY_INLINE void FetchCacheLine([[maybe_unused]] const Real* at) {
#if HWY_COMPILER_GCC || HWY_COMPILER_CLANG
    __builtin_prefetch(at, 0, 2);
    asm volatile("");  // otherwise gcc takes functions that only prefetch for ones without effect
#endif
  }
  struct Line {
    const Real* first;
    std::int64_t pitch;
  };
  static constexpr int kMost = 6;  ///< z, g, z0, z1, d_input, skip
  Line lines_[kMost];
  int count_ = 0;
};

/// The line that ForLines fills after it has computed that of `unit`.
template <class Pass>
std::int64_t FilledNext(const Pass& p, std::int64_t unit) {
  return unit + 1 + (p.axis == Axis::batch ? 0 : (p.taps - 1) / 2);
}

/// Σ over rows of one vector of channels.
template <class Real>
HWY_INLINE Vector<Real> SumRows(const Real* line, std::int64_t rows, std::int64_t pitch) {
  const Tag<Real> d;
  auto sum = hn::Zero(d);
  for (std::int64_t b = 0; b < rows; ++b) sum = hn::Add(sum, hn::LoadU(d, line + b * pitch));
  return sum;
}

/// Sums of one line, added to the totals in double.
template <class Real>
struct LineSums {
  HWY_ALIGN Real values[2 * HWY_MAX_BYTES / sizeof(Real)];
  template <int kVectors>
  HWY_INLINE void AddTo(const Vector<Real>* sums, double* total) {
    const Tag<Real> d;
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sums[v], d, values + v * LanesOf<Real>());
    for (std::int64_t i = 0; i < kVectors * LanesOf<Real>(); ++i) total[i] += static_cast<double>(values[i]);
  }
};

/// Σ dz over the batch: for the bias, and for inputs that are constant along the batch.
template <class Real>
HWY_NOINLINE void SumGradient(const BackwardPass<Real>& p, const Real* dz, std::int64_t pitch,
                              std::int64_t unit) {
  const Tag<Real> d;
  ForVectors<Real>(p.outputs, [&](std::int64_t o) HWY_ATTR {
    const auto total = SumRows(dz + o, p.batch, pitch);
    if (p.d_bias) {
      LineSums<Real> line;
      line.template AddTo<1>(&total, p.d_bias + o);
    }
    if (!p.per_unit) return;
    Real* to = p.per_unit + unit * 3 * p.outputs + o;
    hn::StoreU(hn::Sub(total, hn::LoadU(d, dz + o)), d, to);
    hn::StoreU(total, d, to + p.outputs);
    hn::StoreU(hn::Sub(total, hn::LoadU(d, dz + (p.batch - 1) * pitch + o)), d, to + 2 * p.outputs);
  });
}

/// The operands of one line's sums. `Terms`: plain numbers, or pairs of them side by side.
template <class Terms>
struct LineProducts {
  using Number = typename Terms::Number;
  const Number* inputs[kMostTaps];     ///< rows of the input that each tap of the convolution reads
  const Number* gradients[kMostTaps];  ///< rows of dz that each tap of its adjoint reads
  const Number* dz;                    ///< rows of dz for the gradient by the weights
  const Number* transposed;            ///< [panel of inputs][tap][depth][width]
  std::int64_t taps;
  std::int64_t rows;   ///< terms of a weight's gradient
  std::int64_t depth;  ///< terms of an input's gradient, per tap
  std::int64_t in_pitch, dz_pitch, gradient_pitch;

  /// Σ over the batch for inputs i .. of tap j and outputs o ..
  template <class Real, int kRows, int kVectors>
  HWY_INLINE void ByWeight(Tile<Real, kRows, kVectors>& tile, std::int64_t j, std::int64_t i,
                           std::int64_t o) const {
    tile.template Multiply<Terms>(rows, inputs[j] + i, 1, in_pitch, dz + o, dz_pitch);
  }

  /// Σ over taps and outputs for rows r .. and inputs c .. The data gradient is a convolution with the taps
  /// reversed (pack_transposed has reversed them).
  template <class Real, int kRows, int kVectors>
  HWY_INLINE void ByInput(Tile<Real, kRows, kVectors>& tile, std::int64_t r, std::int64_t c) const {
    const std::int64_t width = kVectors * LanesOf<Real>();
    const Number* weights = transposed + taps * depth * c;
    for (std::int64_t j = 0; j < taps; ++j)
      tile.template Multiply<Terms>(depth, gradients[j] + r * gradient_pitch, gradient_pitch, 1,
                                    weights + j * depth * width, width);
  }
};

/// d_weights[j] += aᵀ dz for one panel of outputs.
template <int kVectors, class Real, class Products>
HWY_NOINLINE void WeightPanel(const BackwardPass<Real>& p, const Products& products, std::int64_t o) {
  constexpr int kRows = kVectors == 1 ? kRowsOfOne : kRowsOfTwo;
  for (std::int64_t j = 0; j < p.taps; ++j) {
    Real* const to = p.d_weights + j * p.source.inputs * p.outputs + o;
    ForRowBlocks<kRows>(p.source.inputs, [&](auto rows, std::int64_t i) HWY_ATTR {
      Tile<Real, rows, kVectors> tile;
      tile.Load(to + i * p.outputs, p.outputs);
      products.ByWeight(tile, j, i, o);
      tile.Store(to + i * p.outputs, p.outputs);
    });
  }
}

/// Rows of d_input for one panel of input channels. `normalised`: relu(ẑ), or ẑ itself where `kMasked` is
/// false.
template <int kVectors, bool kMasked, class Real, class Products>
HWY_NOINLINE void InputPanel(const BackwardPass<Real>& p, const Products& products, const Real* normalised,
                             std::int64_t in_pitch, const LinesAhead<Real>& ahead, std::int64_t unit,
                             std::int64_t c) {
  const Tag<Real> d;
  const std::int64_t lanes = LanesOf<Real>(), padded = p.source.padded;
  Vector<Real> sum[kVectors], dots[kVectors];
  for (int v = 0; v < kVectors; ++v) sum[v] = dots[v] = hn::Zero(d);
  constexpr int kRows = kVectors == 1 ? kRowsOfOne : kRowsOfTwo;
  const std::int64_t stored = unit * p.batch * padded + c;
  ForRowBlocks<kRows>(p.batch, [&](auto rows, std::int64_t r) HWY_ATTR {
    Tile<Real, rows, kVectors> tile;
    if (p.d_start)
      tile.Set(p.d_start + unit * padded + c);
    else
      tile.Zero();
    ahead.template Fetch<rows, kVectors>(r, c);
    products.ByInput(tile, r, c);
    const std::int64_t at = stored + r * padded;
    if (p.skip)
      tile.ForEach([&](int i, int v, Vector<Real>& value) HWY_ATTR {
        value = hn::Add(value, hn::LoadU(d, p.skip + at + i * padded + v * lanes));
      });
    tile.Store(p.d_input + at, padded);
    if (!p.sum) return;
    tile.ForEach([&](int i, int v, Vector<Real> gradient) HWY_ATTR {
      const auto value = hn::LoadU(d, normalised + (r + i) * in_pitch + c + v * lanes);
      dots[v] = hn::MulAdd(gradient, value, dots[v]);
      sum[v] = hn::Add(sum[v], kMasked ? hn::IfThenElseZero(hn::Gt(value, hn::Zero(d)), gradient) : gradient);
    });
  });
  if (!p.sum) return;
  LineSums<Real> line;
  line.template AddTo<kVectors>(sum, p.sum + c);
  line.template AddTo<kVectors>(dots, p.sum_normalised + c);
}

template <int kVectors, class Real, class Products>
HWY_INLINE void InputPanelOfKind(const BackwardPass<Real>& p, const Products& products,
                                 const Real* normalised, std::int64_t in_pitch, const LinesAhead<Real>& ahead,
                                 std::int64_t unit, std::int64_t c) {
  if (p.source.kind == SourceKind::affine)
    InputPanel<kVectors, false>(p, products, normalised, in_pitch, ahead, unit, c);
  else
    InputPanel<kVectors, true>(p, products, normalised, in_pitch, ahead, unit, c);
}

/// Both gradients of one line. `normalised`: [batch, in_pitch], the factor in `sum_normalised`.
template <class Real, class Products>
void BackwardPanels(const BackwardPass<Real>& p, const Products& products, const Real* normalised,
                    std::int64_t in_pitch, const LinesAhead<Real>& ahead, std::int64_t unit) {
  const std::int64_t lanes = LanesOf<Real>();
  for (std::int64_t o = 0; o < p.outputs; o += 2 * lanes) {
    if (o + lanes < p.outputs)
      WeightPanel<2>(p, products, o);
    else
      WeightPanel<1>(p, products, o);
  }
  if (!p.d_input) return;
  for (std::int64_t c = 0; c < p.source.padded; c += 2 * lanes) {
    if (c + lanes < p.source.padded)
      InputPanelOfKind<2>(p, products, normalised, in_pitch, ahead, unit, c);
    else
      InputPanelOfKind<1>(p, products, normalised, in_pitch, ahead, unit, c);
  }
}

/// Visits the lines of a pass: calls fill(unit) for each line that is read, and line(pass, unit), with the
/// sums of the line's block, once all lines that its taps read are filled.
template <class Pass, class Fill, class Line>
void ForLines(Pass p, const Fill& fill, const Line& line) {
  const std::int64_t reach = p.axis == Axis::batch ? 0 : (p.taps - 1) / 2;
  for (std::int64_t u = p.first - reach; u < p.last + reach; ++u) {
    if (u >= 0 && u < p.units) fill(u);
    const std::int64_t unit = u - reach;
    if (unit < p.first) continue;
    if (unit > p.first && unit % kBlockLines == 0) p.next_block();
    line(p, unit);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace outerloop::rule::fused
HWY_AFTER_NAMESPACE();

#endif
