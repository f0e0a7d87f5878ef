#include "common/rule/fused/weight_terms.h"

#include <algorithm>

#include "common/rule/fused/kernel_table.h"
#include "common/rule/fused/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/rule/fused/weight_terms.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, once per instruction set:
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace outerloop::rule::fused {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

template <class Real>
constexpr int kMostLanes = HWY_MAX_BYTES / sizeof(Real);

template <class D>
HWY_INLINE std::int64_t LanesOf(D d) {
  return static_cast<std::int64_t>(hn::Lanes(d));
}

/// Calls f(tag, j) for blocks of columns that exactly cover 0 .. m−1: whole vectors, then at most four
/// columns at a time, then single ones.
template <class Real, class F>
HWY_INLINE void ForColumns(std::int64_t m, const F& f) {
  const hn::ScalableTag<Real> whole;
  const hn::CappedTag<Real, 4> four;
  const hn::CappedTag<Real, 1> one;
  std::int64_t j = 0;
  for (; j + LanesOf(whole) <= m; j += LanesOf(whole)) f(whole, j);
  for (; j + LanesOf(four) <= m; j += LanesOf(four)) f(four, j);
  for (; j < m; ++j) f(one, j);
}

/// out[s, j ..] = the mean over n rows of what add(i, sums) adds to sums[s]. At most kBlock numbers are added
/// up in Real, so that float32 keeps its accuracy for layers of any width.
template <int kSums, class D, class Real, class F>
HWY_INLINE void MeansOverRows(D d, std::int64_t n, std::int64_t m, Real* out, const F& add) {
  constexpr std::int64_t kBlock = 128;
  double totals[kSums][kMostLanes<Real>] = {};
  HWY_ALIGN Real block[kMostLanes<Real>];
  for (std::int64_t first = 0; first < n; first += kBlock) {
    hn::Vec<D> sums[kSums];
    for (int s = 0; s < kSums; ++s) sums[s] = hn::Zero(d);
    const std::int64_t end = std::min(n, first + kBlock);
    for (std::int64_t i = first; i < end; ++i) add(i, sums);
    for (int s = 0; s < kSums; ++s) {
      hn::StoreU(sums[s], d, block);
      for (std::int64_t lane = 0; lane < LanesOf(d); ++lane)
        totals[s][lane] += static_cast<double>(block[lane]);
    }
  }
  for (int s = 0; s < kSums; ++s)
    for (std::int64_t lane = 0; lane < LanesOf(d); ++lane)
      out[s * m + lane] = static_cast<Real>(totals[s][lane] / static_cast<double>(n));
}

/// x · sign(w), with sign(0) = 0.
template <class D, class V>
HWY_INLINE V TimesSign(D d, V x, V w) {
  return hn::IfThenZeroElse(hn::Eq(w, hn::Zero(d)), hn::Xor(x, hn::And(w, hn::SignBit(d))));
}

template <class D>
struct Terms {
  hn::Vec<D> w, t[kTerms];
};

/// The terms at (i, j ..).
template <class D, class Real>
HWY_INLINE Terms<D> LoadTerms(D d, const TermInput<Real>& in, std::int64_t i, std::int64_t j) {
  const std::int64_t m = in.m;
  const Real* f = in.fields + i * kFields * m + j;
  Terms<D> at;
  const auto w = hn::LoadU(d, in.w + i * m + j);
  at.w = w;
  at.t[kZeroOrder] = hn::LoadU(d, f + kFieldW0 * m);
  at.t[kFirstOrder] = hn::Mul(w, hn::LoadU(d, f + kFieldW1 * m));
  at.t[kDecorrelate] = hn::LoadU(d, f + kFieldDecorrelate * m);
  at.t[kHebb] = hn::LoadU(d, f + kFieldHebb * m);
  at.t[kLargeDecay] = hn::Mul(w, hn::Abs(w));
  at.t[kLinLower] = hn::LoadU(d, f + kFieldLinLower * m);
  at.t[kLinUpperPsd] = hn::LoadU(d, f + kFieldPsd * m);
  at.t[kLinUpper] = hn::LoadU(d, f + kFieldLinUpper * m);
  at.t[kRbf] = hn::Mul(hn::LoadU(d, in.gaussian + i * m + j), hn::LoadU(d, f + kFieldRbf * m));
  at.t[kSqrLower] = TimesSign(d, hn::LoadU(d, f + kFieldSqrLower * m), w);
  at.t[kSqrUpper] = TimesSign(d, hn::LoadU(d, f + kFieldSqrUpper * m), w);
  at.t[kWBase] = w;
  return at;
}

template <class Real>
void ProductMeans(std::int64_t n, std::int64_t m, const Real* a, std::int64_t a_row, const Real* b,
                  Real* out) {
  ForColumns<Real>(m, [&](auto d, std::int64_t j) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    MeansOverRows<1>(d, n, m, out + j, [&](std::int64_t i, V* sums) HWY_ATTR {
      sums[0] = hn::MulAdd(hn::LoadU(d, a + i * a_row + j), hn::LoadU(d, b + i * m + j), sums[0]);
    });
  });
}

template <class Real>
void InverseRoots(std::int64_t count, const Real* in, Real offset, Real* out) {
  ForColumns<Real>(count, [&](auto d, std::int64_t j) HWY_ATTR {
    const auto sum = hn::Add(hn::Set(d, offset), hn::LoadU(d, in + j));
    hn::StoreU(hn::Div(hn::Set(d, Real(1)), hn::Sqrt(sum)), d, out + j);
  });
}

template <class Real>
void Expand(std::int64_t n, std::int64_t m, const Real* W, const Real* rstd, Real* w, Real* q,
            Real* gaussian) {
  ForColumns<Real>(m, [&](auto d, std::int64_t j) HWY_ATTR {
    const auto scale = hn::LoadU(d, rstd + j);
    const auto one = hn::Set(d, Real(1));
    for (std::int64_t at = j; at < n * m; at += m) {
      const auto value = hn::Mul(hn::LoadU(d, W + at), scale);
      const auto square = hn::Mul(value, value);
      hn::StoreU(value, d, w + at);
      // √(1+w²) − 1 without the cancellation at small w.
      hn::StoreU(hn::Div(square, hn::Add(one, hn::Sqrt(hn::Add(one, square)))), d, q + at);
      hn::StoreU(hn::Exp(d, hn::Neg(square)), d, gaussian + at);
    }
  });
}

template <class Real>
void Combine(std::int64_t n, std::int64_t m, const Real* a, const Real* alpha, const Real* b,
             const Real* beta, Real* y, bool accumulate) {
  ForColumns<Real>(m, [&](auto d, std::int64_t j) HWY_ATTR {
    const auto by_a = hn::LoadU(d, alpha + j), by_b = hn::LoadU(d, beta + j);
    for (std::int64_t at = j; at < n * m; at += m) {
      auto sum = accumulate ? hn::LoadU(d, y + at) : hn::Zero(d);
      sum = hn::MulAdd(by_a, hn::LoadU(d, a + at), sum);
      hn::StoreU(hn::MulAdd(by_b, hn::LoadU(d, b + at), sum), d, y + at);
    }
  });
}

template <class Real>
void SquareMeans(const TermInput<Real>& input, Real* out) {
  ForColumns<Real>(input.m, [&](auto d, std::int64_t j) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    MeansOverRows<kTerms>(d, input.n, input.m, out + j, [&](std::int64_t i, V* sums) HWY_ATTR {
      const auto at = LoadTerms(d, input, i, j);
      for (int k = 0; k < kTerms; ++k) sums[k] = hn::MulAdd(at.t[k], at.t[k], sums[k]);
    });
  });
}

template <class Real>
void MergeTerms(const TermInput<Real>& input, const Real* coefficient, Real offset, Real* y) {
  ForColumns<Real>(input.m, [&](auto d, std::int64_t j) HWY_ATTR {
    hn::Vec<decltype(d)> by[kTerms];
    for (int k = 0; k < kTerms; ++k) by[k] = hn::LoadU(d, coefficient + k * input.m + j);
    for (std::int64_t i = 0; i < input.n; ++i) {
      const auto at = LoadTerms(d, input, i, j);
      auto even = hn::Set(d, offset), odd = hn::Zero(d);
      for (int k = 0; k < kTerms; k += 2) {
        even = hn::MulAdd(by[k], at.t[k], even);
        odd = hn::MulAdd(by[k + 1], at.t[k + 1], odd);
      }
      hn::StoreU(hn::Add(even, odd), d, y + i * input.m + j);
    }
  });
}

template <class Real>
void MergeMeans(const TermInput<Real>& input, const Real* by, Real* out) {
  ForColumns<Real>(input.m, [&](auto d, std::int64_t j) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    MeansOverRows<kTerms + 1>(d, input.n, input.m, out + j, [&](std::int64_t i, V* sums) HWY_ATTR {
      const auto at = LoadTerms(d, input, i, j);
      const auto value = hn::LoadU(d, by + i * input.m + j);
      for (int k = 0; k < kTerms; ++k) sums[k] = hn::MulAdd(value, at.t[k], sums[k]);
      sums[kTerms] = hn::Add(sums[kTerms], value);
    });
  });
}

template <class Real>
void MergeBackward(const TermInput<Real>& input, const Real* by, const Real* alpha, const Real* beta,
                   Real* d_fields, Real* dw) {
  const std::int64_t m = input.m;
  ForColumns<Real>(m, [&](auto d, std::int64_t j) HWY_ATTR {
    using V = hn::Vec<decltype(d)>;
    V by_d[kTerms], by_t[kTerms];
    for (int k = 0; k < kTerms; ++k) {
      by_d[k] = hn::LoadU(d, alpha + k * m + j);
      by_t[k] = hn::LoadU(d, beta + k * m + j);
    }
    for (std::int64_t i = 0; i < input.n; ++i) {
      const auto at = LoadTerms(d, input, i, j);
      const auto value = hn::LoadU(d, by + i * m + j), w = at.w;
      V dt[kTerms];
      for (int k = 0; k < kTerms; ++k) dt[k] = hn::NegMulAdd(by_t[k], at.t[k], hn::Mul(by_d[k], value));

      Real* df = d_fields + i * kFields * m + j;
      hn::StoreU(dt[kDecorrelate], d, df + kFieldDecorrelate * m);
      hn::StoreU(dt[kLinUpperPsd], d, df + kFieldPsd * m);
      hn::StoreU(dt[kLinUpper], d, df + kFieldLinUpper * m);
      hn::StoreU(TimesSign(d, dt[kSqrUpper], w), d, df + kFieldSqrUpper * m);
      hn::StoreU(dt[kLinLower], d, df + kFieldLinLower * m);
      hn::StoreU(TimesSign(d, dt[kSqrLower], w), d, df + kFieldSqrLower * m);
      hn::StoreU(dt[kZeroOrder], d, df + kFieldW0 * m);
      hn::StoreU(hn::Mul(w, dt[kFirstOrder]), d, df + kFieldW1 * m);
      hn::StoreU(hn::Mul(hn::LoadU(d, input.gaussian + i * m + j), dt[kRbf]), d, df + kFieldRbf * m);
      hn::StoreU(dt[kHebb], d, df + kFieldHebb * m);

      // forward: t = w R, w |w|, exp(−w²) R, w; so dw += R dt, 2 |w| dt, −2 w t dt, dt.
      const auto R = hn::LoadU(d, input.fields + (i * kFields + kFieldW1) * m + j);
      auto sum = hn::Add(hn::LoadU(d, dw + i * m + j), dt[kWBase]);
      sum = hn::MulAdd(R, dt[kFirstOrder], sum);
      const auto twice = hn::Add(w, w);
      sum = hn::MulAdd(hn::Abs(twice), dt[kLargeDecay], sum);
      sum = hn::NegMulAdd(hn::Mul(twice, at.t[kRbf]), dt[kRbf], sum);
      hn::StoreU(sum, d, dw + i * m + j);
    }
  });
}

template <class Real>
void RootBackward(std::int64_t count, const Real* w, const Real* q, const Real* dq, Real* dw) {
  ForColumns<Real>(count, [&](auto d, std::int64_t j) HWY_ATTR {
    const auto root = hn::Add(hn::LoadU(d, q + j), hn::Set(d, Real(1)));
    const auto slope = hn::Div(hn::LoadU(d, w + j), root);
    hn::StoreU(hn::MulAdd(slope, hn::LoadU(d, dq + j), hn::LoadU(d, dw + j)), d, dw + j);
  });
}

template <class Real>
void Symmetrise(std::int64_t n, Real* a, std::int64_t row, Real scale, bool zero_diagonal) {
  constexpr std::int64_t kTile = 16;  // two such tiles fit into the first-level cache
  for (std::int64_t i0 = 0; i0 < n; i0 += kTile)
    for (std::int64_t j0 = i0; j0 < n; j0 += kTile)
      for (std::int64_t i = i0; i < std::min(n, i0 + kTile); ++i) {
        Real* across = a + i * row;
        Real* down = a + i;
        for (std::int64_t j = std::max(j0, i + 1); j < std::min(n, j0 + kTile); ++j)
          across[j] = down[j * row] = scale * (across[j] + down[j * row]);
      }
  for (std::int64_t i = 0; i < n; ++i)
    a[i * row + i] = zero_diagonal ? Real(0) : scale * (a[i * row + i] + a[i * row + i]);
}

template <class Real>
void RowProducts(std::int64_t n, std::int64_t m, const Real* a, std::int64_t a_row, const Real* b,
                 std::int64_t b_row, Real scale, Real* out) {
  const hn::ScalableTag<Real> d;
  for (std::int64_t i = 0; i < n; ++i, a += a_row, b += b_row) {
    auto sums = hn::Zero(d);
    std::int64_t j = 0;
    for (; j + LanesOf(d) <= m; j += LanesOf(d))
      sums = hn::MulAdd(hn::LoadU(d, a + j), hn::LoadU(d, b + j), sums);
    Real sum = hn::GetLane(hn::SumOfLanes(d, sums));
    for (; j < m; ++j) sum += a[j] * b[j];
    out[i] = scale * sum;
  }
}

template <class Real>
void SubtractRows(std::int64_t n, std::int64_t m, const Real* a, std::int64_t a_row, const Real* factor,
                  Real* y, std::int64_t y_row) {
  for (std::int64_t i = 0; i < n; ++i, a += a_row, y += y_row)
    ForColumns<Real>(m, [&](auto d, std::int64_t j) HWY_ATTR {
      const auto by = hn::Set(d, factor[i]);
      hn::StoreU(hn::NegMulAdd(by, hn::LoadU(d, a + j), hn::LoadU(d, y + j)), d, y + j);
    });
}

template <class Real>
void SubtractColumns(std::int64_t n, std::int64_t m, const Real* a, std::int64_t a_row, const Real* factor,
                     Real* y, std::int64_t y_row) {
  ForColumns<Real>(m, [&](auto d, std::int64_t j) HWY_ATTR {
    const auto by = hn::LoadU(d, factor + j);
    for (std::int64_t i = 0; i < n; ++i) {
      Real* to = y + i * y_row + j;
      hn::StoreU(hn::NegMulAdd(by, hn::LoadU(d, a + i * a_row + j), hn::LoadU(d, to)), d, to);
    }
  });
}

template <class Real>
WeightTermKernels<Real> MakeKernels() {
  WeightTermKernels<Real> kernels;
  kernels.product_means = &ProductMeans<Real>;
  kernels.inverse_roots = &InverseRoots<Real>;
  kernels.expand = &Expand<Real>;
  kernels.combine = &Combine<Real>;
  kernels.square_means = &SquareMeans<Real>;
  kernels.merge = &MergeTerms<Real>;
  kernels.merge_means = &MergeMeans<Real>;
  kernels.merge_backward = &MergeBackward<Real>;
  kernels.root_backward = &RootBackward<Real>;
  kernels.symmetrise = &Symmetrise<Real>;
  kernels.row_products = &RowProducts<Real>;
  kernels.subtract_rows = &SubtractRows<Real>;
  kernels.subtract_columns = &SubtractColumns<Real>;
  return kernels;
}

OUTERLOOP_KERNEL_TABLES(WeightTermKernels)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace outerloop::rule::fused
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace outerloop::rule::fused {

OUTERLOOP_EXPORT_KERNELS(WeightTermKernels, weight_term_kernels)

}  // namespace outerloop::rule::fused
#endif
