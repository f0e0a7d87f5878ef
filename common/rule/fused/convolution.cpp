#include "common/rule/fused/convolution.h"

#include "common/rule/fused/convolution_lines.h"
#include "common/rule/fused/kernel_table.h"
#include "common/rule/fused/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/rule/fused/convolution.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, once per instruction set:
#include "common/rule/fused/convolution-inl.h"
#include "common/rule/fused/tile-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace outerloop::rule::fused {
namespace HWY_NAMESPACE {
namespace {

/// One panel of output channels of one line.
template <int kVectors, class Real>
HWY_NOINLINE void ForwardPanel(const ForwardPass<Real>& p, const Real* const* taps, std::int64_t pitch,
                               const Real* start, const LinesAhead<Real>& ahead, std::int64_t unit,
                               std::int64_t o, const Real* weights) {
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
    ahead.template Fetch<rows, kVectors>(r, o);
    for (std::int64_t j = 0; j < p.taps; ++j)
      tile.Multiply(p.source.inputs, taps[j] + r * pitch, pitch, 1, weights + j * p.source.inputs * width,
                    width);
    if (constant && (r == 0 || r + rows == p.batch)) {
      // At the borders one tap lies outside.
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
  LinesAhead<Real> ahead;
  if (FilledNext(p, unit) < p.units) ahead.AddSource(p.source, FilledNext(p, unit), p.batch);
  if (p.z_unit > 0 && unit + 1 < p.units) ahead.Add(p.z + (unit + 1) * p.z_unit, p.outputs);
  const Real* weights = p.weights;
  for (std::int64_t o = 0; o < p.outputs; o += 2 * lanes) {
    if (o + lanes < p.outputs)
      ForwardPanel<2>(p, taps, pitch, from, ahead, unit, o, weights);
    else
      ForwardPanel<1>(p, taps, pitch, from, ahead, unit, o, weights);
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
    if (p.input_means && p.computes(unit))
      ForVectors<Real>(p.source.padded, [&](std::int64_t c) HWY_ATTR {
        hn::StoreU(hn::Mul(SumRows(ring[unit] + edge + c, p.batch, pitch),
                           hn::Set(d, Real(1) / static_cast<Real>(p.batch))),
                   d, p.input_means + unit * p.source.padded + c);
      });
  };
  ForLines(p, fill, [&](const ForwardPass<Real>& block, std::int64_t unit) HWY_ATTR {
    ForwardLine(block, ring, pitch, unit, start);
  });
}

/// Workspace of a backward pass.
template <class Real>
struct BackwardLines {
  Ring<Real> input, second, gradient;
  std::int64_t in_pitch, out_pitch, in_edge, out_edge;

  const Real* Normalised(const BackwardPass<Real>& p, std::int64_t unit) const {
    return p.source.kind == SourceKind::relu_sum ? second[unit] + in_edge : input[unit] + in_edge;
  }
};

/// The lines of g, z and the source that are filled next; those of d_input and skip that are computed next.
template <class Real>
LinesAhead<Real> AheadOf(const BackwardPass<Real>& p, std::int64_t unit) {
  LinesAhead<Real> ahead;
  const std::int64_t fill = FilledNext(p, unit), in = p.batch * p.source.padded;
  if (fill < p.units) {
    ahead.AddSource(p.source, fill, p.batch);
    if (p.z) ahead.Add(p.z + fill * p.batch * p.outputs, p.outputs);
    if (p.g_unit > 0) ahead.Add(p.g + fill * p.g_unit, p.outputs);
  }
  if (!p.d_input || unit + 1 == p.units) return ahead;
  if (p.d_input != p.g) ahead.Add(p.d_input + (unit + 1) * in, p.source.padded);
  if (p.skip && p.skip != p.d_input && p.skip != p.g) ahead.Add(p.skip + (unit + 1) * in, p.source.padded);
  return ahead;
}

template <class Real>
void BackwardLine(const BackwardPass<Real>& p, const BackwardLines<Real>& lines, std::int64_t unit) {
  LineProducts<PlainTerms<Real>> products;
  products.dz = lines.gradient[unit] + lines.out_edge;
  products.transposed = p.transposed;
  products.taps = p.taps;
  products.rows = p.batch;
  products.depth = p.channels;
  products.in_pitch = lines.in_pitch;
  products.dz_pitch = products.gradient_pitch = lines.out_pitch;
  for (std::int64_t j = 0; j < p.taps; ++j) {
    products.inputs[j] = tap_rows(lines.input, p.axis, p.taps, lines.in_pitch, j, unit, p.units);
    products.gradients[j] = tap_rows(lines.gradient, p.axis, p.taps, lines.out_pitch, j, unit, p.units);
  }
  if (p.d_bias || p.per_unit) SumGradient(p, products.dz, lines.out_pitch, unit);
  BackwardPanels(p, products, lines.Normalised(p, unit), lines.in_pitch, AheadOf(p, unit), unit);
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

  const auto fill = [&](std::int64_t unit) HWY_ATTR {
    FillInput(p.source, unit, p.batch, lines.in_pitch, lines.input[unit] + lines.in_edge,
              two ? lines.second[unit] + lines.in_edge : nullptr);
    FillGradient(p, unit, lines.out_pitch, lines.gradient[unit] + lines.out_edge);
  };
  ForLines(p, fill, [&](const BackwardPass<Real>& block, std::int64_t unit) HWY_ATTR {
    BackwardLine(block, lines, unit);
  });
}

template <class Real>
ConvolutionKernels<Real> MakeKernels() {
  return {LanesOf<Real>(), &Forward<Real>, &Backward<Real>};
}

OUTERLOOP_KERNEL_TABLES(ConvolutionKernels)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace outerloop::rule::fused
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace outerloop::rule::fused {

OUTERLOOP_EXPORT_KERNELS(ConvolutionKernels, convolution_kernels)

std::int64_t convolution_workspace(std::int64_t batch, std::int64_t taps, std::int64_t channels,
                                   std::int64_t lanes) {
  // convolution_bf16.cpp along the units needs the most: 2 lines, one line of zeros, 4 rings, and weights in
  // pairs.
  const std::int64_t lines = 4 * taps + 3;
  return lines * (batch + taps - 1) * row_pitch(channels, lanes) + taps * channels * (channels + 1) / 2;
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
