#pragma once
// Batch norm per channel over (unit, batch), eps 1e-3, learned offset β, no scale (docs/update-rule.md, §3),
// from sums over a tensor: forward ẑ = scale · z + shift, backward dz = a · m + b · z + c with m the gradient
// by ẑ.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/rule/fused/arena.h"
#include "common/rule/fused/convolution.h"

namespace outerloop::rule::fused {

inline constexpr double kBatchNormEpsilon = 1e-3;

/// scale and shift of one batch norm, kept with its z.
template <class Real>
struct Norm {
  Real* scale = nullptr;
  Real* shift = nullptr;

  static Norm take(Arena<Real>& arena, std::int64_t padded) {
    return {arena.take(padded), arena.take(padded)};
  }
  Affine<Real> affine() const { return {scale, shift}; }
};

/// Two sums per channel in float64: Σ z and Σ z², or Σ m and Σ m ẑ.
struct ChannelSums {
  std::vector<double> first, second;

  explicit ChannelSums(std::int64_t most) : first(static_cast<std::size_t>(most)), second(first) {}
  void clear() {
    std::fill(first.begin(), first.end(), 0.0);
    std::fill(second.begin(), second.end(), 0.0);
  }
};

/// From Σ z and Σ z² over `count` numbers per channel.
template <class Real>
void finish_norm(const ChannelSums& sums, std::int64_t count, const Real* beta, std::int64_t padded,
                 const Norm<Real>& norm) {
  const auto n = static_cast<double>(count);
  for (std::int64_t c = 0; c < padded; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const double mean = sums.first[i] / n;
    const double variance = std::max(0.0, sums.second[i] / n - mean * mean);
    const double scale = 1 / std::sqrt(variance + kBatchNormEpsilon);
    norm.scale[c] = static_cast<Real>(scale);
    norm.shift[c] = static_cast<Real>(static_cast<double>(beta[c]) - mean * scale);
  }
}

/// a, b, c of the backward pass; adds Σ m to d_beta.
template <class Real>
struct NormGradient {
  std::vector<Real> a, b, c;

  explicit NormGradient(std::int64_t most) : a(static_cast<std::size_t>(most)), b(a), c(a) {}

  /// From Σ m and Σ m ẑ. forward: ẑ = ẑ0 + β, ẑ0 = scale z + (shift − β); so
  /// dz = scale (m − mean(m) − ẑ0 mean(m ẑ0)).
  void finish(const ChannelSums& sums, std::int64_t count, const Real* beta, std::int64_t padded,
              const Norm<Real>& norm, double* d_beta) {
    const auto n = static_cast<double>(count);
    for (std::int64_t k = 0; k < padded; ++k) {
      const auto i = static_cast<std::size_t>(k);
      const double scale = static_cast<double>(norm.scale[k]), offset = static_cast<double>(beta[k]);
      const double along = (sums.second[i] - offset * sums.first[i]) / n;
      a[i] = norm.scale[k];
      b[i] = static_cast<Real>(-scale * scale * along);
      c[i] = static_cast<Real>(-scale *
                               (sums.first[i] / n + (static_cast<double>(norm.shift[k]) - offset) * along));
      d_beta[k] += sums.first[i];
    }
  }
};

}  // namespace outerloop::rule::fused
