#include "common/rule/fused/row_kernels.h"

#include <cmath>
#include <string>

#include "common/base/error.h"
#include "common/rule/fused/kernel_table.h"
#include "common/rule/fused/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/rule/fused/row_kernels.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, once per instruction set:
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace outerloop::rule::fused {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using WideTag = hn::ScalableTag<double>;

/// Loads as many numbers as the tag has lanes, as float64.
template <class D>
HWY_INLINE hn::Vec<D> load_wide(D d, const double* p) {
  return hn::LoadU(d, p);
}
template <class D>
HWY_INLINE hn::Vec<D> load_wide(D d, const float* p) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, D>(), p));
}

/// f(tag, i) over all columns: whole vectors first, then one by one. Never reads or writes beyond the row.
template <class Real, class F>
HWY_INLINE void for_columns(std::int64_t columns, const F& f) {
  const hn::ScalableTag<Real> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= columns; i += lanes) f(d, i);
  const hn::CappedTag<Real, 1> single;
  for (; i < columns; ++i) f(single, i);
}

/// Sum of term(tag, i) over all columns, in float64.
template <class F>
HWY_INLINE double sum_columns(std::int64_t columns, const F& term) {
  const WideTag d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= columns; i += lanes) sum = hn::Add(sum, term(d, i));
  const hn::CappedTag<double, 1> single;
  auto rest = hn::Zero(single);
  for (; i < columns; ++i) rest = hn::Add(rest, term(single, i));
  return hn::GetLane(hn::SumOfLanes(d, sum)) + hn::GetLane(rest);
}

// Non-linearities f(z) and their derivatives. A NaN stays NaN, so that divergence is detected.

struct Relu {
  template <class D, class V>
  static HWY_INLINE V value(D d, V z) {
    return hn::IfThenZeroElse(hn::Lt(z, hn::Zero(d)), z);
  }
  template <class D, class V>
  static HWY_INLINE V slope(D d, V z) {
    return hn::IfThenElseZero(hn::Gt(z, hn::Zero(d)), hn::Set(d, 1));
  }
};

struct LeakyRelu {
  template <class D>
  static HWY_INLINE hn::Vec<D> below(D d) {
    return hn::Set(d, static_cast<hn::TFromD<D>>(0.2));
  }
  template <class D, class V>
  static HWY_INLINE V value(D d, V z) {
    return hn::IfThenElse(hn::Gt(z, hn::Zero(d)), z, hn::Mul(below(d), z));
  }
  template <class D, class V>
  static HWY_INLINE V slope(D d, V z) {
    return hn::IfThenElse(hn::Gt(z, hn::Zero(d)), hn::Set(d, 1), below(d));
  }
};

struct Step {
  template <class D, class V>
  static HWY_INLINE V value(D d, V z) {
    return hn::IfThenElseZero(hn::Gt(z, hn::Zero(d)), hn::Set(d, 1));
  }
  template <class D, class V>
  static HWY_INLINE V slope(D d, V) {
    return hn::Zero(d);
  }
};

struct Swish {
  /// The exponential's argument is never above zero: it cannot overflow.
  template <class D, class V>
  static HWY_INLINE V sigmoid(D d, V z) {
    const V small = hn::Exp(d, hn::Neg(hn::Abs(z)));
    const V one = hn::Set(d, 1);
    return hn::Div(hn::IfThenElse(hn::Lt(z, hn::Zero(d)), small, one), hn::Add(one, small));
  }
  template <class D, class V>
  static HWY_INLINE V value(D d, V z) {
    return hn::Mul(z, sigmoid(d, z));
  }
  template <class D, class V>
  static HWY_INLINE V slope(D d, V z) {
    const V s = sigmoid(d, z);
    return hn::MulAdd(hn::Mul(z, s), hn::Sub(hn::Set(d, 1), s), s);
  }
};

struct Elu {
  /// Both exponentials take the negative part only: positive z cannot overflow them.
  template <class D, class V>
  static HWY_INLINE V negative_part(D d, V z) {
    return hn::IfThenZeroElse(hn::Gt(z, hn::Zero(d)), z);
  }
  template <class D, class V>
  static HWY_INLINE V value(D d, V z) {
    return hn::IfThenElse(hn::Gt(z, hn::Zero(d)), z, hn::Expm1(d, negative_part(d, z)));
  }
  template <class D, class V>
  static HWY_INLINE V slope(D d, V z) {
    return hn::Exp(d, negative_part(d, z));
  }
};

struct Tanh {
  template <class D, class V>
  static HWY_INLINE V value(D d, V z) {
    return hn::Tanh(d, z);
  }
  template <class D, class V>
  static HWY_INLINE V slope(D d, V z) {
    const V t = hn::Tanh(d, z);
    return hn::NegMulAdd(t, t, hn::Set(d, 1));
  }
};

// One row at a time: a row stays in the first-level cache between its passes.

template <class Real>
HWY_INLINE Real standardise_row(std::int64_t n, const Real* x, Real* u) {
  const auto count = static_cast<double>(n);
  const double mean =
      sum_columns(n, [=](auto d, std::int64_t i) HWY_ATTR { return load_wide(d, x + i); }) / count;
  const double variance = sum_columns(n,
                                      [=](auto d, std::int64_t i) HWY_ATTR {
                                        const auto c = hn::Sub(load_wide(d, x + i), hn::Set(d, mean));
                                        return hn::Mul(c, c);
                                      }) /
                          count;
  const auto rstd = static_cast<Real>(1.0 / std::sqrt(variance + kRowEpsilon));
  const auto shift = static_cast<Real>(mean);
  // Subtract before scaling: otherwise near-constant units would lose precision.
  for_columns<Real>(n, [=](auto d, std::int64_t i) HWY_ATTR {
    const auto centred = hn::Sub(hn::LoadU(d, x + i), hn::Set(d, shift));
    hn::StoreU(hn::Mul(centred, hn::Set(d, rstd)), d, u + i);
  });
  return rstd;
}

/// forward: u = (y − mean)·rstd; so here dy = rstd·(du − mean(du) − u·mean(du·u)), which replaces `du`.
/// Returns the sum of du. u comes as `shifted` − `shift`.
template <class Real>
HWY_INLINE double standardised_row_backward(std::int64_t n, const Real* shifted, Real shift, Real rstd,
                                            const Real* du, Real* dy, bool accumulate) {
  const double sum = sum_columns(n, [=](auto d, std::int64_t i) HWY_ATTR { return load_wide(d, du + i); });
  const double along = sum_columns(n, [=](auto d, std::int64_t i) HWY_ATTR {
    const auto u = hn::Sub(load_wide(d, shifted + i), hn::Set(d, static_cast<double>(shift)));
    return hn::Mul(load_wide(d, du + i), u);
  });
  const auto mean = static_cast<Real>(sum / static_cast<double>(n));
  const auto mean_along = static_cast<Real>(along / static_cast<double>(n));
  for_columns<Real>(n, [=](auto d, std::int64_t i) HWY_ATTR {
    const auto u = hn::Sub(hn::LoadU(d, shifted + i), hn::Set(d, shift));
    const auto centred = hn::Sub(hn::LoadU(d, du + i), hn::Set(d, mean));
    const auto before = accumulate ? hn::LoadU(d, dy + i) : hn::Zero(d);
    const auto change = hn::NegMulAdd(u, hn::Set(d, mean_along), centred);
    hn::StoreU(hn::MulAdd(hn::Set(d, rstd), change, before), d, dy + i);
  });
  return sum;
}

template <class Real>
void standardise(std::int64_t rows, std::int64_t columns, const Real* x, Real* u, Real* rstd) {
  for (std::int64_t r = 0; r < rows; ++r)
    rstd[r] = standardise_row(columns, x + r * columns, u + r * columns);
}

template <class Real>
void standardise_backward(std::int64_t rows, std::int64_t columns, const Real* u, const Real* rstd,
                          const Real* du, Real* dx) {
  for (std::int64_t r = 0; r < rows; ++r)
    standardised_row_backward(columns, u + r * columns, Real{0}, rstd[r], du + r * columns, dx + r * columns,
                              true);
}

template <class Kind, class Real>
void activate_rows(std::int64_t rows, std::int64_t columns, const Real* bias, Real* z, Real* x, Real* rstd) {
  for (std::int64_t r = 0; r < rows; ++r) {
    Real* const z_row = z + r * columns;
    Real* const x_row = x + r * columns;
    const Real offset = bias[r];
    rstd[r] = standardise_row(columns, z_row, z_row);
    for_columns<Real>(columns, [=](auto d, std::int64_t i) HWY_ATTR {
      const auto shifted = hn::Add(hn::LoadU(d, z_row + i), hn::Set(d, offset));
      hn::StoreU(shifted, d, z_row + i);
      hn::StoreU(Kind::value(d, shifted), d, x_row + i);
    });
  }
}

template <class Kind, class Real>
void activate_rows_backward(std::int64_t rows, std::int64_t columns, const Real* bias, const Real* z,
                            const Real* rstd, const Real* dz, Real* dx, Real* d_bias) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const Real* const z_row = z + r * columns;
    const Real* const outside = dz ? dz + r * columns : nullptr;
    Real* const dx_row = dx + r * columns;
    // forward: x = f(z), and z was used elsewhere
    for_columns<Real>(columns, [=](auto d, std::int64_t i) HWY_ATTR {
      const auto other = outside ? hn::LoadU(d, outside + i) : hn::Zero(d);
      const auto slope = Kind::slope(d, hn::LoadU(d, z_row + i));
      hn::StoreU(hn::MulAdd(slope, hn::LoadU(d, dx_row + i), other), d, dx_row + i);
    });
    // forward: z = u + bias
    const double sum = standardised_row_backward(columns, z_row, bias[r], rstd[r], dx_row, dx_row, false);
    d_bias[r] += static_cast<Real>(sum);
  }
}

/// Calls `f` with an object of the non-linearity's type.
template <class F>
void with_kind(Nonlinearity kind, const F& f) {
  switch (kind) {
    case Nonlinearity::relu:
      return f(Relu());
    case Nonlinearity::leaky_relu:
      return f(LeakyRelu());
    case Nonlinearity::swish:
      return f(Swish());
    case Nonlinearity::elu:
      return f(Elu());
    case Nonlinearity::tanh:
      return f(Tanh());
    case Nonlinearity::step:
      return f(Step());
  }
  throw Error("fused engine: unknown non-linearity number " + std::to_string(static_cast<int>(kind)));
}

template <class Real>
void activate(Nonlinearity kind, std::int64_t rows, std::int64_t columns, const Real* bias, Real* z, Real* x,
              Real* rstd) {
  with_kind(kind, [=](auto f) HWY_ATTR { activate_rows<decltype(f)>(rows, columns, bias, z, x, rstd); });
}

template <class Real>
void activate_backward(Nonlinearity kind, std::int64_t rows, std::int64_t columns, const Real* bias,
                       const Real* z, const Real* rstd, const Real* dz, Real* dx, Real* d_bias) {
  with_kind(kind, [=](auto f) HWY_ATTR {
    activate_rows_backward<decltype(f)>(rows, columns, bias, z, rstd, dz, dx, d_bias);
  });
}

template <class Real>
RowKernels<Real> MakeKernels() {
  return {&standardise<Real>, &standardise_backward<Real>, &activate<Real>, &activate_backward<Real>};
}

OUTERLOOP_KERNEL_TABLES(RowKernels)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace outerloop::rule::fused
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace outerloop::rule::fused {

OUTERLOOP_EXPORT_KERNELS(RowKernels, row_kernels)

}  // namespace outerloop::rule::fused
#endif  // HWY_ONCE
