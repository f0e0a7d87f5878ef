#include "common/rule/fused/convolution.h"

#include "common/rule/fused/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/rule/fused/convolution.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, once per instruction set:
#include "common/rule/fused/tile-inl.h"
#include "hwy/highway.h"

#ifndef OUTERLOOP_FUSED_CONVOLUTION_ONCE
#define OUTERLOOP_FUSED_CONVOLUTION_ONCE
namespace outerloop::rule::fused {
namespace {

constexpr std::int64_t kMostTaps = 5;

/// Numbers from one row of a scratch line to the next. Rows a power of two apart share few sets of the cache.
std::int64_t row_pitch(std::int64_t channels, std::int64_t lanes) {
  return channels % (4 * lanes) == 0 ? channels + lanes : channels;
}

/// Lines that the taps read, held in a ring; for a convolution along the batch one line with empty edges.
template <class Real>
struct Ring {
  Real* lines[kMostTaps] = {};
  Real* zeros = nullptr;
  std::int64_t count = 0;

  Real* operator[](std::int64_t unit) const { return lines[unit % count]; }
  Real* or_zeros(std::int64_t unit, std::int64_t units) const {
    return unit < 0 || unit >= units ? zeros : lines[unit % count];
  }
};

template <class Real>
class Scratch {
 public:
  Scratch(Real* workspace, std::int64_t batch, std::int64_t taps, std::int64_t channels, std::int64_t lanes)
      : next_(workspace), line_((batch + taps - 1) * row_pitch(channels, lanes)) {}

  Real* line() {
    Real* const taken = next_;
    next_ += line_;
    return taken;
  }
  Real* zeros() {
    Real* const taken = line();
    std::fill(taken, taken + line_, Real(0));
    return taken;
  }
  /// Lines whose first and last `edge` numbers are zero, around `middle` numbers.
  Ring<Real> ring(std::int64_t count, Real* zeros, std::int64_t edge, std::int64_t middle) {
    Ring<Real> ring;
    ring.count = count;
    ring.zeros = zeros;
    for (std::int64_t i = 0; i < count; ++i) {
      ring.lines[i] = line();
      std::fill_n(ring.lines[i], edge, Real(0));
      std::fill_n(ring.lines[i] + edge + middle, edge, Real(0));
    }
    return ring;
  }

 private:
  Real* next_;
  std::int64_t line_;
};

/// Rows of a ring's line that tap j reads for output row 0 of line `unit`.
template <class Real>
const Real* tap_rows(const Ring<Real>& ring, Axis axis, std::int64_t taps, std::int64_t pitch, std::int64_t j,
                     std::int64_t unit, std::int64_t units) {
  if (axis == Axis::batch) return ring[unit] + j * pitch;
  return ring.or_zeros(unit + j - (taps - 1) / 2, units);
}

}  // namespace
}  // namespace outerloop::rule::fused
#endif

HWY_BEFORE_NAMESPACE();
namespace outerloop::rule::fused {
namespace HWY_NAMESPACE {
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

/// One panel of output channels of one line.
template <int kVectors, class Real>
HWY_NOINLINE void ForwardPanel(const ForwardPass<Real>& p, const Real* const* taps, std::int64_t pitch,
                               const Real* start, std::int64_t unit, std::int64_t o, const Real* weights) {
  const Tag<Real> d;
  const std::int64_t lanes = LanesOf<Real>(), width = kVectors * lanes;
  Vector<Real> sum[kVectors], squares[kVectors];
  for (int v = 0; v < kVectors; ++v) sum[v] = squares[v] = hn::Zero(d);
  constexpr int kRows = kVectors == 1 ? kRowsOfOne : kRowsOfTwo;
  Real* z = p.z + unit * p.z_unit + o;
  const Real* const constant = p.per_unit ? p.per_unit + unit * p.taps * p.outputs + o : nullptr;
  ForRowBlocks<kRows>(p.batch, [&](auto rows, std::int64_t r) HWY_ATTR {
    Tile<Real, rows, kVectors> tile;
    if (start)
      tile.Set(start + o);
    else
      tile.Zero();
    for (std::int64_t j = 0; j < p.taps; ++j)
      tile.Multiply(p.source.inputs, taps[j] + r * pitch, pitch, 1, weights + j * p.source.inputs * width,
                    width);
    if (constant && (r == 0 || r + rows == p.batch)) {
      // At the borders one tap reaches nothing.
      tile.ForEach([&](int i, int v, Vector<Real>& value) HWY_ATTR {
        if (r + i == 0) value = hn::Sub(value, hn::LoadU(d, constant + v * lanes));
        if (r + i + 1 == p.batch) value = hn::Sub(value, hn::LoadU(d, constant + 2 * p.outputs + v * lanes));
      });
    }
    tile.Store(z + r * p.outputs, p.outputs);
    if (p.sum)
      tile.ForEach([&](int, int v, Vector<Real> value) HWY_ATTR {
        sum[v] = hn::Add(sum[v], value);
        squares[v] = hn::MulAdd(value, value, squares[v]);
      });
  });
  if (!p.sum) return;
  LineSums<Real> line;
  line.template AddTo<kVectors>(sum, p.sum + o);
  line.template AddTo<kVectors>(squares, p.sum_squares + o);
}

template <class Real>
void ForwardLine(const ForwardPass<Real>& p, const Ring<Real>& ring, std::int64_t pitch, std::int64_t unit,
                 Real* start) {
  const Tag<Real> d;
  const std::int64_t lanes = LanesOf<Real>();
  const Real* taps[kMostTaps];
  for (std::int64_t j = 0; j < p.taps; ++j) taps[j] = tap_rows(ring, p.axis, p.taps, pitch, j, unit, p.units);
  const Real* from = p.bias;
  if (p.per_unit) {
    ForVectors<Real>(p.outputs, [&](std::int64_t o) HWY_ATTR {
      const Real* constant = p.per_unit + unit * p.taps * p.outputs + o;
      auto total = hn::LoadU(d, constant);
      for (std::int64_t j = 1; j < p.taps; ++j)
        total = hn::Add(total, hn::LoadU(d, constant + j * p.outputs));
      hn::StoreU(total, d, start + o);
    });
    from = start;
  }
  const Real* weights = p.weights;
  for (std::int64_t o = 0; o < p.outputs; o += 2 * lanes) {
    if (o + lanes < p.outputs)
      ForwardPanel<2>(p, taps, pitch, from, unit, o, weights);
    else
      ForwardPanel<1>(p, taps, pitch, from, unit, o, weights);
    weights += p.taps * p.source.inputs * 2 * lanes;
  }
}

template <class Real>
void Forward(const ForwardPass<Real>& p, Real* workspace) {
  const Tag<Real> d;
  const std::int64_t lanes = LanesOf<Real>(), pitch = row_pitch(p.source.padded, lanes);
  Scratch<Real> scratch(workspace, p.batch, p.taps, std::max(p.source.padded, p.outputs), lanes);
  Real* const start = scratch.line();
  const std::int64_t reach = (p.taps - 1) / 2;
  const bool along_batch = p.axis == Axis::batch;
  const std::int64_t edge = along_batch ? reach * pitch : 0;
  const auto ring =
      scratch.ring(along_batch ? 1 : p.taps, along_batch ? nullptr : scratch.zeros(), edge, p.batch * pitch);
  const auto fill = [&](std::int64_t unit) HWY_ATTR {
    FillInput(p.source, unit, p.batch, pitch, ring[unit] + edge, static_cast<Real*>(nullptr));
    if (p.input_means)
      ForVectors<Real>(p.source.padded, [&](std::int64_t c) HWY_ATTR {
        hn::StoreU(hn::Mul(SumRows(ring[unit] + edge + c, p.batch, pitch),
                           hn::Set(d, Real(1) / static_cast<Real>(p.batch))),
                   d, p.input_means + unit * p.source.padded + c);
      });
  };
  const std::int64_t ahead = along_batch ? 0 : reach;
  for (std::int64_t u = p.first; u < p.last + ahead; ++u) {
    if (u < p.units) fill(u);
    if (u >= p.first + ahead) ForwardLine(p, ring, pitch, u - ahead, start);
  }
}

/// d_weights[j] += aᵀ dz for one panel of outputs.
template <int kVectors, class Real>
HWY_NOINLINE void WeightPanel(const BackwardPass<Real>& p, const Real* const* taps, std::int64_t in_pitch,
                              const Real* dz, std::int64_t out_pitch, std::int64_t o) {
  constexpr int kRows = kVectors == 1 ? kRowsOfOne : kRowsOfTwo;
  for (std::int64_t j = 0; j < p.taps; ++j) {
    Real* const to = p.d_weights + j * p.source.inputs * p.outputs + o;
    ForRowBlocks<kRows>(p.source.inputs, [&](auto rows, std::int64_t i) HWY_ATTR {
      Tile<Real, rows, kVectors> tile;
      tile.Load(to + i * p.outputs, p.outputs);
      tile.Multiply(p.batch, taps[j] + i, 1, in_pitch, dz + o, out_pitch);
      tile.Store(to + i * p.outputs, p.outputs);
    });
  }
}

/// Rows of d_input for one panel of input channels. `normalised`: relu(ẑ), or ẑ itself where `kMasked` is
/// false.
template <int kVectors, bool kMasked, class Real>
HWY_NOINLINE void InputPanel(const BackwardPass<Real>& p, const Real* const* taps, std::int64_t out_pitch,
                             const Real* normalised, std::int64_t in_pitch, std::int64_t unit, std::int64_t c,
                             const Real* weights) {
  const Tag<Real> d;
  const std::int64_t lanes = LanesOf<Real>(), width = kVectors * lanes, padded = p.source.padded;
  Vector<Real> sum[kVectors], products[kVectors];
  for (int v = 0; v < kVectors; ++v) sum[v] = products[v] = hn::Zero(d);
  constexpr int kRows = kVectors == 1 ? kRowsOfOne : kRowsOfTwo;
  const std::int64_t stored = unit * p.batch * padded + c;
  ForRowBlocks<kRows>(p.batch, [&](auto rows, std::int64_t r) HWY_ATTR {
    Tile<Real, rows, kVectors> tile;
    if (p.d_start)
      tile.Set(p.d_start + unit * padded + c);
    else
      tile.Zero();
    for (std::int64_t j = 0; j < p.taps; ++j)
      tile.Multiply(p.channels, taps[j] + r * out_pitch, out_pitch, 1, weights + j * p.channels * width,
                    width);
    const std::int64_t at = stored + r * padded;
    if (p.skip)
      tile.ForEach([&](int i, int v, Vector<Real>& value) HWY_ATTR {
        value = hn::Add(value, hn::LoadU(d, p.skip + at + i * padded + v * lanes));
      });
    tile.Store(p.d_input + at, padded);
    if (!p.sum) return;
    tile.ForEach([&](int i, int v, Vector<Real> gradient) HWY_ATTR {
      const auto value = hn::LoadU(d, normalised + (r + i) * in_pitch + c + v * lanes);
      products[v] = hn::MulAdd(gradient, value, products[v]);
      sum[v] = hn::Add(sum[v], kMasked ? hn::IfThenElseZero(hn::Gt(value, hn::Zero(d)), gradient) : gradient);
    });
  });
  if (!p.sum) return;
  LineSums<Real> line;
  line.template AddTo<kVectors>(sum, p.sum + c);
  line.template AddTo<kVectors>(products, p.sum_normalised + c);
}

template <int kVectors, class Real>
HWY_INLINE void InputPanelOfKind(const BackwardPass<Real>& p, const Real* const* taps, std::int64_t out_pitch,
                                 const Real* normalised, std::int64_t in_pitch, std::int64_t unit,
                                 std::int64_t c, const Real* weights) {
  if (p.source.kind == SourceKind::affine)
    InputPanel<kVectors, false>(p, taps, out_pitch, normalised, in_pitch, unit, c, weights);
  else
    InputPanel<kVectors, true>(p, taps, out_pitch, normalised, in_pitch, unit, c, weights);
}

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

template <class Real>
HWY_NOINLINE void Flush(const BackwardPass<Real>& p) {
  const std::int64_t size = p.taps * p.source.inputs * p.outputs;
  for (std::int64_t i = 0; i < size; ++i) p.d_weights_total[i] += static_cast<double>(p.d_weights[i]);
  std::fill(p.d_weights, p.d_weights + size, Real(0));
}

/// What a backward pass holds in its workspace.
template <class Real>
struct BackwardLines {
  Ring<Real> input, second, gradient;
  std::int64_t in_pitch, out_pitch, in_edge, out_edge;

  const Real* Normalised(const BackwardPass<Real>& p, std::int64_t unit) const {
    return p.source.kind == SourceKind::relu_sum ? second[unit] + in_edge : input[unit] + in_edge;
  }
};

template <class Real>
void BackwardLine(const BackwardPass<Real>& p, const BackwardLines<Real>& lines, std::int64_t unit) {
  const std::int64_t lanes = LanesOf<Real>();
  const Real* dz = lines.gradient[unit] + lines.out_edge;
  if (p.d_bias || p.per_unit) SumGradient(p, dz, lines.out_pitch, unit);
  const Real* taps[kMostTaps];
  for (std::int64_t j = 0; j < p.taps; ++j)
    taps[j] = tap_rows(lines.input, p.axis, p.taps, lines.in_pitch, j, unit, p.units);
  for (std::int64_t o = 0; o < p.outputs; o += 2 * lanes) {
    if (o + lanes < p.outputs)
      WeightPanel<2>(p, taps, lines.in_pitch, dz, lines.out_pitch, o);
    else
      WeightPanel<1>(p, taps, lines.in_pitch, dz, lines.out_pitch, o);
  }
  if ((unit + 1) % kFlushLines == 0 || unit + 1 == p.units) Flush(p);
  if (!p.d_input) return;
  // The data gradient is a convolution with the taps reversed (pack_transposed has turned them round).
  for (std::int64_t j = 0; j < p.taps; ++j)
    taps[j] = tap_rows(lines.gradient, p.axis, p.taps, lines.out_pitch, j, unit, p.units);
  const Real* weights = p.transposed;
  for (std::int64_t c = 0; c < p.source.padded; c += 2 * lanes) {
    const Real* normalised = lines.Normalised(p, unit);
    if (c + lanes < p.source.padded)
      InputPanelOfKind<2>(p, taps, lines.out_pitch, normalised, lines.in_pitch, unit, c, weights);
    else
      InputPanelOfKind<1>(p, taps, lines.out_pitch, normalised, lines.in_pitch, unit, c, weights);
    weights += p.taps * p.channels * 2 * lanes;
  }
}

template <class Real>
void Backward(const BackwardPass<Real>& p, Real* workspace) {
  const std::int64_t lanes = LanesOf<Real>(), reach = (p.taps - 1) / 2;
  const bool along_batch = p.axis == Axis::batch;
  Scratch<Real> scratch(workspace, p.batch, p.taps, std::max(p.source.padded, p.outputs), lanes);
  BackwardLines<Real> lines;
  lines.in_pitch = row_pitch(p.source.padded, lanes);
  lines.out_pitch = row_pitch(p.outputs, lanes);
  lines.in_edge = along_batch ? reach * lines.in_pitch : 0;
  lines.out_edge = along_batch ? reach * lines.out_pitch : 0;
  Real* const zeros = along_batch ? nullptr : scratch.zeros();
  const std::int64_t count = along_batch ? 1 : p.taps;
  lines.input = scratch.ring(count, zeros, lines.in_edge, p.batch * lines.in_pitch);
  lines.gradient = scratch.ring(count, zeros, lines.out_edge, p.batch * lines.out_pitch);
  const bool two = p.source.kind == SourceKind::relu_sum && p.sum;
  if (two) lines.second = scratch.ring(count, zeros, 0, 0);

  const std::int64_t ahead = along_batch ? 0 : reach;
  for (std::int64_t u = p.first; u < p.last + ahead; ++u) {
    if (u < p.units) {
      FillInput(p.source, u, p.batch, lines.in_pitch, lines.input[u] + lines.in_edge,
                two ? lines.second[u] + lines.in_edge : nullptr);
      FillGradient(p, u, lines.out_pitch, lines.gradient[u] + lines.out_edge);
    }
    if (u >= p.first + ahead) BackwardLine(p, lines, u - ahead);
  }
}

template <class Real>
ConvolutionKernels<Real> MakeKernels() {
  return {LanesOf<Real>(), &Forward<Real>, &Backward<Real>};
}

const ConvolutionKernels<float>& FloatConvolutions() {
  static const auto kernels = MakeKernels<float>();
  return kernels;
}
const ConvolutionKernels<double>& DoubleConvolutions() {
  static const auto kernels = MakeKernels<double>();
  return kernels;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace outerloop::rule::fused
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace outerloop::rule::fused {

HWY_EXPORT(FloatConvolutions);
HWY_EXPORT(DoubleConvolutions);

template <>
const ConvolutionKernels<float>& convolution_kernels<float>(InstructionSet set) {
  const ForceInstructionSet force(set);
  return HWY_DYNAMIC_DISPATCH(FloatConvolutions)();
}

template <>
const ConvolutionKernels<double>& convolution_kernels<double>(InstructionSet set) {
  const ForceInstructionSet force(set);
  return HWY_DYNAMIC_DISPATCH(DoubleConvolutions)();
}

std::int64_t convolution_workspace(std::int64_t batch, std::int64_t taps, std::int64_t channels,
                                   std::int64_t lanes) {
  const std::int64_t lines = 3 * kMostTaps + 1;
  return lines * (batch + taps - 1) * row_pitch(channels, lanes);
}

namespace {

/// Calls f(first, width) for every panel of `channels` padded to vectors.
template <class F>
void for_panels(std::int64_t channels, std::int64_t lanes, const F& f) {
  const std::int64_t padded = padded_channels(channels, lanes);
  for (std::int64_t first = 0; first < padded; first += 2 * lanes)
    f(first, std::min(2 * lanes, padded - first));
}

}  // namespace

template <class Real>
void pack_weights(const Real* w, std::int64_t taps, std::int64_t inputs, std::int64_t outputs,
                  std::int64_t lanes, Real* packed) {
  for_panels(outputs, lanes, [&](std::int64_t first, std::int64_t width) {
    for (std::int64_t row = 0; row < taps * inputs; ++row)
      for (std::int64_t o = first; o < first + width; ++o)
        *packed++ = o < outputs ? w[row * outputs + o] : Real(0);
  });
}

template <class Real>
void pack_transposed(const Real* w, std::int64_t taps, std::int64_t inputs, std::int64_t outputs,
                     std::int64_t lanes, Real* packed) {
  for_panels(inputs, lanes, [&](std::int64_t first, std::int64_t width) {
    for (std::int64_t j = taps; j-- > 0;)
      for (std::int64_t o = 0; o < outputs; ++o)
        for (std::int64_t i = first; i < first + width; ++i)
          *packed++ = i < inputs ? w[(j * inputs + i) * outputs + o] : Real(0);
  });
}

template void pack_weights(const float*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, float*);
template void pack_weights(const double*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, double*);
template void pack_transposed(const float*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, float*);
template void pack_transposed(const double*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, double*);

}  // namespace outerloop::rule::fused
#endif
