#include "common/rule/fused/signals.h"

#include <cmath>

#include "common/rule/fused/kernel_table.h"
#include "common/rule/fused/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/rule/fused/signals.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, once per instruction set:
#include "common/rule/fused/tile-inl.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace outerloop::rule::fused {
namespace HWY_NAMESPACE {
namespace {

/// Loads the first `left` numbers at p, the rest zero. Reads a whole vector.
template <class Real>
HWY_INLINE Vector<Real> LoadFirst(const Real* p, std::int64_t left) {
  const Tag<Real> d;
  const auto value = hn::LoadU(d, p);
  if (left >= LanesOf<Real>()) return value;
  return hn::IfThenElseZero(hn::FirstN(d, static_cast<std::size_t>(left)), value);
}

/// Whether whole vectors over a row's `numbers` stay within `line_left` numbers from the row's beginning to
/// the line's end. Memory after the line may belong to another thread; memory after the row within the line
/// is overwritten.
template <class Real>
HWY_INLINE bool VectorsFit(std::int64_t numbers, std::int64_t line_left) {
  const std::int64_t lanes = LanesOf<Real>();
  return (numbers + lanes - 1) / lanes * lanes <= line_left;
}

/// Like LoadFirst; kFit: a whole vector may be read.
template <bool kFit, class Real>
HWY_INLINE Vector<Real> LoadWithin(const Real* p, std::int64_t left) {
  const Tag<Real> d;
  if (kFit || left >= LanesOf<Real>()) return LoadFirst(p, left);
  HWY_ALIGN Real values[HWY_MAX_BYTES / sizeof(Real)] = {};
  std::copy_n(p, left, values);
  return hn::LoadU(d, values);
}

/// Writes the first `left` numbers; kFit: up to a whole vector.
template <bool kFit, class Real>
HWY_INLINE void StoreWithin(Vector<Real> v, Real* p, std::int64_t left) {
  const Tag<Real> d;
  if (kFit || left >= LanesOf<Real>()) {
    hn::StoreU(v, d, p);
    return;
  }
  HWY_ALIGN Real values[HWY_MAX_BYTES / sizeof(Real)];
  hn::StoreU(v, d, values);
  std::copy_n(values, left, p);
}

template <class Real>
HWY_INLINE Real SumOf(Vector<Real> v) {
  const Tag<Real> d;
  return hn::GetLane(hn::SumOfLanes(d, v));
}

template <class Real>
HWY_INLINE void AddToDouble(Vector<Real> v, double* total) {
  const Tag<Real> d;
  HWY_ALIGN Real values[HWY_MAX_BYTES / sizeof(Real)];
  hn::StoreU(v, d, values);
  for (std::int64_t i = 0; i < LanesOf<Real>(); ++i) total[i] += static_cast<double>(values[i]);
}

/// sigmoid(z), whole vectors.
template <class Real>
void Sigmoid(std::int64_t batch, const Real* z, Real* result) {
  const Tag<Real> d;
  const auto one = hn::Set(d, Real(1));
  const auto most = hn::Set(d, Real(sizeof(Real) == 4 ? 80 : 700));  // limit of exp
  for (std::int64_t b = 0; b < batch; b += LanesOf<Real>()) {
    const auto negative = hn::Min(hn::Neg(LoadFirst(z + b, batch - b)), most);
    hn::StoreU(hn::Div(one, hn::Add(one, hn::Exp(d, negative))), d, result + b);
  }
}

template <class Real>
void FeatureLine(const Features<Real>& p, std::int64_t u) {
  const Tag<Real> d;
  const std::int64_t lanes = LanesOf<Real>();
  for (std::int64_t b = 0; b < p.batch; ++b) {
    const std::int64_t i = u * p.batch + b;
    const Real* from = p.d + i * p.d_row;
    Real* to = p.f + i * p.padded;
    Real scale = 1;
    if (p.inverse_rms) {
      auto squares = hn::Zero(d);
      for (std::int64_t c = 0; c < p.delta; c += lanes) {
        const auto value = LoadFirst(from + c, p.delta - c);
        squares = hn::MulAdd(value, value, squares);
      }
      scale = Real(1) / std::sqrt(Real(1e-6) + SumOf<Real>(squares) / static_cast<Real>(p.delta));
      p.inverse_rms[i] = scale;
    }
    const auto factor = hn::Set(d, scale);
    for (std::int64_t c = 0; c < p.padded; c += lanes)
      hn::StoreU(c < p.delta ? hn::Mul(factor, LoadFirst(from + c, p.delta - c)) : hn::Zero(d), d, to + c);
    to[p.delta] = p.x[i];
    to[p.delta + 1] = p.z[i];
  }
}

template <class Real>
void MakeFeatures(Features<Real> p) {
  const Tag<Real> d;
  for (std::int64_t u = p.first; u < p.last; ++u) {
    if (u > p.first && u % kBlockLines == 0) p.next_block();
    FeatureLine(p, u);
    const Real* line = p.f + u * p.batch * p.padded;
    for (std::int64_t c = 0; c < p.padded; c += LanesOf<Real>()) {
      auto sum = hn::Zero(d), squares = hn::Zero(d);
      for (std::int64_t b = 0; b < p.batch; ++b) {
        const auto value = hn::LoadU(d, line + b * p.padded + c);
        sum = hn::Add(sum, value);
        squares = hn::MulAdd(value, value, squares);
      }
      AddToDouble<Real>(sum, p.sum + c);
      AddToDouble<Real>(squares, p.sum_squares + c);
    }
  }
}

/// One neuron and example. forward: d = pre · r, r = 1/sqrt(1e-6 + mean pre²), so d_pre = r (d_d − d ·
/// mean(d_d · d)). `i`: index among all rows; kFit: see VectorsFit.
template <bool kFit, class Real>
HWY_INLINE void FeatureBackward(const FeaturesBackward<Real>& p, std::int64_t i, Real sigmoid) {
  const Tag<Real> d;
  const std::int64_t lanes = LanesOf<Real>();
  const Real *g = p.g + i * p.padded, *f = p.f + i * p.padded;
  const Real* error = p.d_error ? p.d_error + i * p.delta : nullptr;
  Real* to = p.d_d + i * p.d_row;
  Real outside[2] = {};
  auto through_error = hn::Zero(d), along = hn::Zero(d);
  const auto gate = hn::Set(d, sigmoid);
  HWY_ALIGN Real spill[HWY_MAX_BYTES / sizeof(Real)] = {};
  for (std::int64_t c = 0; c < p.padded; c += lanes) {
    const auto value = hn::LoadU(d, f + c);
    auto df = hn::MulAdd(hn::LoadU(d, p.a + c), hn::LoadU(d, g + c),
                         hn::MulAdd(hn::LoadU(d, p.b + c), value, hn::LoadU(d, p.c + c)));
    if (c + lanes > p.delta) {
      hn::StoreU(df, d, spill);
      for (std::int64_t k = 0; k < 2; ++k)
        if (p.delta + k >= c && p.delta + k < c + lanes) outside[k] = spill[p.delta + k - c];
    }
    if (c >= p.delta) continue;
    if (error) {
      const auto de = LoadFirst(error + c, p.delta - c);
      through_error = hn::MulAdd(de, value, through_error);
      df = hn::MulAdd(de, gate, df);
    }
    if (c + lanes > p.delta)
      df = hn::IfThenElseZero(hn::FirstN(d, static_cast<std::size_t>(p.delta - c)), df);
    along = hn::MulAdd(df, value, along);
    StoreWithin<kFit>(df, to + c, p.delta - c);
  }
  if (p.inverse_rms) {
    const auto mean = hn::Set(d, SumOf<Real>(along) / static_cast<Real>(p.delta));
    const auto r = hn::Set(d, p.inverse_rms[i]);
    for (std::int64_t c = 0; c < p.delta; c += lanes) {
      const std::int64_t left = p.delta - c;
      const auto before = LoadWithin<kFit>(to + c, left);
      StoreWithin<kFit>(hn::Mul(r, hn::NegMulAdd(LoadFirst(f + c, left), mean, before)), to + c, left);
    }
  }
  for (std::int64_t c = p.delta; c < p.d_row; ++c) to[c] = 0;
  if (p.d_x) p.d_x[i] += outside[0];
  if (p.d_z)
    p.d_z[i] += outside[1] + (error ? SumOf<Real>(through_error) * sigmoid * (Real(1) - sigmoid) : Real(0));
}

template <class Real>
void MakeFeaturesBackward(const FeaturesBackward<Real>& p, Real* workspace) {
  for (std::int64_t u = p.first; u < p.last; ++u) {
    if (p.d_error) Sigmoid(p.batch, p.z + u * p.batch, workspace);
    for (std::int64_t b = 0; b < p.batch; ++b) {
      const Real sigmoid = p.d_error ? workspace[b] : Real(0);
      if (VectorsFit<Real>(p.delta, (p.batch - b) * p.d_row))
        FeatureBackward<true>(p, u * p.batch + b, sigmoid);
      else
        FeatureBackward<false>(p, u * p.batch + b, sigmoid);
    }
  }
}

/// kFit: see VectorsFit.
template <bool kFit, class Real>
HWY_INLINE void ErrorRow(std::int64_t delta, const Real* f, Real sigmoid, const Real* linear, Real* error) {
  const Tag<Real> d;
  const auto gate = hn::Set(d, sigmoid);
  for (std::int64_t c = 0; c < delta; c += LanesOf<Real>())
    StoreWithin<kFit>(hn::MulAdd(gate, hn::LoadU(d, f + c), hn::LoadU(d, linear + c)), error + c, delta - c);
}

template <class Real>
void ErrorSignal(std::int64_t batch, std::int64_t delta, const Real* f, std::int64_t padded, const Real* z,
                 const Real* linear, std::int64_t linear_row, Real* error, Real* workspace) {
  Sigmoid(batch, z, workspace);
  for (std::int64_t b = 0; b < batch; ++b, f += padded, linear += linear_row, error += delta) {
    if (VectorsFit<Real>(delta, (batch - b) * delta))
      ErrorRow<true>(delta, f, workspace[b], linear, error);
    else
      ErrorRow<false>(delta, f, workspace[b], linear, error);
  }
}

/// Calls f(offset of a vector in a row of [batch, padded], numbers of it that are channels).
template <class Real, class F>
HWY_INLINE void ForChannels(std::int64_t batch, std::int64_t channels, std::int64_t padded, const F& f) {
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t c = 0; c < padded; c += LanesOf<Real>()) f(b * padded + c, channels - c);
}

template <class Real>
void NormaliseUnits(const UnitNorm<Real>& p) {
  const Tag<Real> d;
  const std::int64_t row = p.batch * p.padded;
  const double count = static_cast<double>(p.batch * p.channels);
  for (std::int64_t u = 0; u < p.units; ++u) {
    const Real* z = p.z + u * row;
    double sums[2] = {0, 0};
    for (std::int64_t b = 0; b < p.batch; ++b) {
      auto sum = hn::Zero(d), squares = hn::Zero(d);
      ForChannels<Real>(1, p.channels, p.padded, [&](std::int64_t at, std::int64_t) {
        const auto value = hn::LoadU(d, z + b * p.padded + at);
        sum = hn::Add(sum, value);
        squares = hn::MulAdd(value, value, squares);
      });
      sums[0] += static_cast<double>(SumOf<Real>(sum));
      sums[1] += static_cast<double>(SumOf<Real>(squares));
    }
    const double mean = sums[0] / count;
    const double scale = 1 / std::sqrt(std::max(0.0, sums[1] / count - mean * mean) + 1e-3);
    p.scale[u] = static_cast<Real>(scale);
    p.shift[u] = static_cast<Real>(static_cast<double>(p.beta[u]) - mean * scale);
    Real* a = p.a + u * (p.batch + 2) * p.padded;
    std::fill_n(a, p.padded, Real(0));
    std::fill_n(a + row + p.padded, p.padded, Real(0));
    const auto s = hn::Set(d, p.scale[u]), t = hn::Set(d, p.shift[u]);
    ForChannels<Real>(p.batch, p.channels, p.padded, [&](std::int64_t at, std::int64_t left) {
      auto value = hn::Max(hn::Zero(d), hn::MulAdd(hn::LoadU(d, z + at), s, t));
      if (left < LanesOf<Real>())
        value = left <= 0 ? hn::Zero(d)
                          : hn::IfThenElseZero(hn::FirstN(d, static_cast<std::size_t>(left)), value);
      hn::StoreU(value, d, a + p.padded + at);
    });
  }
}

template <class Real>
void NormaliseUnitsBackward(const UnitNormBackward<Real>& p) {
  const Tag<Real> d;
  const std::int64_t row = p.batch * p.padded;
  const double count = static_cast<double>(p.batch * p.channels);
  for (std::int64_t u = 0; u < p.units; ++u) {
    const Real* z = p.z + u * row;
    const Real* d_a = p.d_a + u * p.d_a_unit;
    const auto s = hn::Set(d, p.scale[u]), t = hn::Set(d, p.shift[u]);
    const auto masked = [&](std::int64_t at, std::int64_t left, Vector<Real> normalised) {
      auto value = hn::IfThenElseZero(hn::Gt(normalised, hn::Zero(d)), hn::LoadU(d, d_a + at));
      if (left < LanesOf<Real>())
        value = left <= 0 ? hn::Zero(d)
                          : hn::IfThenElseZero(hn::FirstN(d, static_cast<std::size_t>(left)), value);
      return value;
    };
    double sums[2] = {0, 0};
    for (std::int64_t b = 0; b < p.batch; ++b) {
      auto sum = hn::Zero(d), products = hn::Zero(d);
      ForChannels<Real>(1, p.channels, p.padded, [&](std::int64_t c, std::int64_t left) {
        const std::int64_t at = b * p.padded + c;
        const auto normalised = hn::MulAdd(hn::LoadU(d, z + at), s, t);
        const auto m = masked(at, left, normalised);
        sum = hn::Add(sum, m);
        products = hn::MulAdd(m, normalised, products);
      });
      sums[0] += static_cast<double>(SumOf<Real>(sum));
      sums[1] += static_cast<double>(SumOf<Real>(products));
    }
    p.d_beta[u] += sums[0];
    // forward: ẑ0 = scale z + (shift − β); so dz = scale (m − mean(m) − ẑ0 mean(m ẑ0)).
    const double scale = static_cast<double>(p.scale[u]), beta = static_cast<double>(p.beta[u]);
    const double along = (sums[1] - beta * sums[0]) / count;
    const auto slope = hn::Set(d, static_cast<Real>(-scale * scale * along));
    const auto start = hn::Set(
        d, static_cast<Real>(-scale * (sums[0] / count + (static_cast<double>(p.shift[u]) - beta) * along)));
    ForChannels<Real>(p.batch, p.channels, p.padded, [&](std::int64_t at, std::int64_t left) {
      const auto value = hn::LoadU(d, z + at);
      const auto m = masked(at, left, hn::MulAdd(value, s, t));
      auto dz = hn::MulAdd(s, m, hn::MulAdd(slope, value, start));
      if (left < LanesOf<Real>())
        dz = left <= 0 ? hn::Zero(d) : hn::IfThenElseZero(hn::FirstN(d, static_cast<std::size_t>(left)), dz);
      hn::StoreU(dz, d, p.d_z + u * row + at);
    });
  }
}

template <class Real>
void ReluWithEdges(std::int64_t units, std::int64_t batch, std::int64_t padded, const Real* z,
                   Affine<Real> norm, Real* a) {
  const Tag<Real> d;
  for (std::int64_t u = 0; u < units; ++u, z += batch * padded, a += (batch + 2) * padded) {
    std::fill_n(a, padded, Real(0));
    std::fill_n(a + (batch + 1) * padded, padded, Real(0));
    for (std::int64_t b = 0; b < batch; ++b)
      for (std::int64_t c = 0; c < padded; c += LanesOf<Real>())
        hn::StoreU(
            hn::Max(hn::Zero(d), hn::MulAdd(hn::LoadU(d, z + b * padded + c), hn::LoadU(d, norm.scale + c),
                                            hn::LoadU(d, norm.shift + c))),
            d, a + (b + 1) * padded + c);
  }
}

template <class Real>
void ReluWithEdgesBackward(std::int64_t units, std::int64_t batch, std::int64_t padded, const Real* a,
                           const Real* d_a, Real* g, double* sum, double* sum_normalised) {
  const Tag<Real> d;
  for (std::int64_t u = 0; u < units; ++u)
    for (std::int64_t c = 0; c < padded; c += LanesOf<Real>()) {
      auto total = hn::Zero(d), products = hn::Zero(d);
      for (std::int64_t b = 0; b < batch; ++b) {
        const std::int64_t at = (u * (batch + 2) + b + 1) * padded + c;
        const auto value = hn::LoadU(d, a + at), gradient = hn::LoadU(d, d_a + at);
        hn::StoreU(gradient, d, g + (u * batch + b) * padded + c);
        total = hn::Add(total, hn::IfThenElseZero(hn::Gt(value, hn::Zero(d)), gradient));
        products = hn::MulAdd(gradient, value, products);
      }
      AddToDouble<Real>(total, sum + c);
      AddToDouble<Real>(products, sum_normalised + c);
    }
}

template <class Real>
SignalKernels<Real> MakeKernels() {
  SignalKernels<Real> kernels;
  kernels.features = &MakeFeatures<Real>;
  kernels.features_backward = &MakeFeaturesBackward<Real>;
  kernels.error_signal = &ErrorSignal<Real>;
  kernels.unit_norm = &NormaliseUnits<Real>;
  kernels.unit_norm_backward = &NormaliseUnitsBackward<Real>;
  kernels.relu_with_edges = &ReluWithEdges<Real>;
  kernels.relu_with_edges_backward = &ReluWithEdgesBackward<Real>;
  return kernels;
}

OUTERLOOP_KERNEL_TABLES(SignalKernels)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace outerloop::rule::fused
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace outerloop::rule::fused {

OUTERLOOP_EXPORT_KERNELS(SignalKernels, signal_kernels)

}  // namespace outerloop::rule::fused
#endif
