#include "common/rule/fused/constant_channels.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace outerloop::rule::fused {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// The four statistics from sums over n numbers: of |w|, w², w and the squared distance from the mean.
template <class Real>
void finish_statistics(double n, double absolute, double squares, double sum, double centred, Real* s) {
  s[0] = static_cast<Real>(absolute / n);
  s[1] = static_cast<Real>(std::sqrt(squares / n + 1e-6));
  s[2] = static_cast<Real>(sum / n);
  s[3] = static_cast<Real>(std::sqrt(centred / n + 1e-8));
}

/// d statistics as coefficients of sign(w), w and 1 in dw.
struct Coefficients {
  double sign = 0, slope = 0, start = 0;
};

template <class Real>
Coefficients coefficients(double n, const Real* s, const Real* d) {
  Coefficients c;
  if (!d) return c;
  // forward: s1 = sqrt(mean w² + ε), s3 = sqrt(mean (w − s2)² + ε); so dw = w d1 / (n s1), (w − s2) d3 / (n
  // s3)
  const double spread = static_cast<double>(d[3]) / (n * static_cast<double>(s[3]));
  c.sign = static_cast<double>(d[0]) / n;
  c.slope = static_cast<double>(d[1]) / (n * static_cast<double>(s[1])) + spread;
  c.start = static_cast<double>(d[2]) / n - static_cast<double>(s[2]) * spread;
  return c;
}

}  // namespace

template <class Real>
void weight_statistics(const Real* W, std::int64_t n, std::int64_t m, Real* by_column, Real* by_row,
                       Scratch64& scratch) {
  scratch.assign(index(4 * m), 0.0);
  double *absolute = scratch.data(), *squares = absolute + m, *sum = squares + m, *centred = sum + m;
  for (std::int64_t i = 0; i < n; ++i) {
    double row[4] = {};
    for (std::int64_t j = 0; j < m; ++j) {
      const auto w = static_cast<double>(W[i * m + j]);
      absolute[j] += std::abs(w);
      squares[j] += w * w;
      sum[j] += w;
      row[0] += std::abs(w);
      row[1] += w * w;
      row[2] += w;
    }
    const double mean = row[2] / static_cast<double>(m);
    for (std::int64_t j = 0; j < m; ++j) {
      const double distance = static_cast<double>(W[i * m + j]) - mean;
      row[3] += distance * distance;
    }
    finish_statistics(static_cast<double>(m), row[0], row[1], row[2], row[3], by_row + i * kStatistics);
  }
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < m; ++j) {
      const double distance = static_cast<double>(W[i * m + j]) - sum[j] / static_cast<double>(n);
      centred[j] += distance * distance;
    }
  for (std::int64_t j = 0; j < m; ++j)
    finish_statistics(static_cast<double>(n), absolute[j], squares[j], sum[j], centred[j],
                      by_column + j * kStatistics);
}

template <class Real>
void weight_statistics_backward(const Real* W, std::int64_t n, std::int64_t m, const Real* by_column,
                                const Real* by_row, const Real* d_by_column, const Real* d_by_row, Real* dW,
                                Scratch64& scratch) {
  scratch.resize(index(3 * m));
  double *sign_of = scratch.data(), *slope_of = sign_of + m, *start_of = slope_of + m;
  for (std::int64_t j = 0; j < m; ++j) {
    const auto column = coefficients(static_cast<double>(n), by_column + j * kStatistics,
                                     d_by_column ? d_by_column + j * kStatistics : nullptr);
    sign_of[j] = column.sign;
    slope_of[j] = column.slope;
    start_of[j] = column.start;
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const auto row = coefficients(static_cast<double>(m), by_row + i * kStatistics,
                                  d_by_row ? d_by_row + i * kStatistics : nullptr);
    for (std::int64_t j = 0; j < m; ++j) {
      const auto w = static_cast<double>(W[i * m + j]);
      const double sign = w > 0 ? 1 : w < 0 ? -1 : 0;
      dW[i * m + j] += static_cast<Real>(sign * (sign_of[j] + row.sign) + w * (slope_of[j] + row.slope) +
                                         (start_of[j] + row.start));
    }
  }
}

template <class Real>
void identity_waves(std::int64_t units, Real* waves) {
  constexpr double kRange = 4 * 3.14159265358979323846;
  const auto n = static_cast<double>(units);
  for (int k = 0; k < 2; ++k) {
    std::vector<double> wave(index(units));
    double mean = 0, variance = 0;
    for (std::int64_t i = 0; i < units; ++i) {
      const double id = units > 1 ? kRange * static_cast<double>(i) / (n - 1) : 0.0;
      wave[index(i)] = k == 0 ? std::sin(id) : std::cos(id);
      mean += wave[index(i)] / n;
    }
    for (const double value : wave) variance += (value - mean) * (value - mean) / n;
    for (std::int64_t i = 0; i < units; ++i)
      waves[2 * i + k] = static_cast<Real>((wave[index(i)] - mean) / std::sqrt(variance + 1e-3));
  }
}

template <class Real>
Real constant_channels(std::int64_t units, const Real* incoming, const Real* outgoing, const Real* b,
                       const Real* waves, const Real* identity_beta, Real* constants) {
  double squares = 0;
  for (std::int64_t i = 0; i < units * kStatistics; ++i)
    squares += static_cast<double>(incoming[i]) * static_cast<double>(incoming[i]) +
               static_cast<double>(outgoing[i]) * static_cast<double>(outgoing[i]);
  const double mean = squares / static_cast<double>(2 * kStatistics * units);
  const auto scale = static_cast<Real>(1 / std::sqrt(mean + 1e-6));
  for (std::int64_t u = 0; u < units; ++u, constants += 11) {
    for (std::int64_t k = 0; k < kStatistics; ++k) {
      constants[k] = incoming[u * kStatistics + k] * scale;
      constants[kStatistics + k] = outgoing[u * kStatistics + k] * scale;
    }
    constants[8] = b ? b[u] : Real(0);
    constants[9] = waves[2 * u] + identity_beta[0];
    constants[10] = waves[2 * u + 1] + identity_beta[1];
  }
  return scale;
}

template <class Real>
void constant_channels_backward(std::int64_t units, const Real* constants, Real scale,
                                const Real* d_constants, Real* d_incoming, Real* d_outgoing, Real* d_b,
                                double* d_identity_beta) {
  double along = 0;
  for (std::int64_t u = 0; u < units; ++u)
    for (std::int64_t k = 0; k < 2 * kStatistics; ++k)
      along += static_cast<double>(constants[11 * u + k]) * static_cast<double>(d_constants[11 * u + k]);
  // forward: t = s r, r = (mean s² + ε)^(−1/2); so ds = r (dt − t mean(t dt))
  const auto mean = static_cast<Real>(along / static_cast<double>(2 * kStatistics * units));
  for (std::int64_t u = 0; u < units; ++u, constants += 11, d_constants += 11) {
    for (std::int64_t k = 0; k < kStatistics; ++k) {
      d_incoming[u * kStatistics + k] += scale * (d_constants[k] - constants[k] * mean);
      d_outgoing[u * kStatistics + k] +=
          scale * (d_constants[kStatistics + k] - constants[kStatistics + k] * mean);
    }
    if (d_b) d_b[u] += d_constants[8];
    d_identity_beta[0] += static_cast<double>(d_constants[9]);
    d_identity_beta[1] += static_cast<double>(d_constants[10]);
  }
}

namespace {

/// Δb before its division by the root mean square, and the sums that it is computed from.
struct UnscaledChange {
  double* values = nullptr;
  bool clipped = false;  ///< the mean was negative and has been subtracted
  double inverse = 0;    ///< 1/sqrt(0.5 + mean Δb²)
};

template <class Real>
UnscaledChange unscaled_change(std::int64_t units, std::int64_t channels, std::int64_t row, const Real* means,
                               const Real* w, Real bias, Scratch64& scratch) {
  UnscaledChange change;
  scratch.resize(index(2 * units));
  change.values = scratch.data();
  double mean = 0;
  for (std::int64_t u = 0; u < units; ++u) {
    double sum = 0;
    for (std::int64_t c = 0; c < channels; ++c)
      sum += static_cast<double>(means[u * row + c]) * static_cast<double>(w[c]);
    change.values[u] = sum;
    mean += sum / static_cast<double>(units);
  }
  change.clipped = mean + static_cast<double>(bias) < 0;
  double squares = 0;
  for (std::int64_t u = 0; u < units; ++u) {
    double& value = change.values[u];
    value += change.clipped ? -mean : static_cast<double>(bias);
    squares += value * value;
  }
  change.inverse = 1 / std::sqrt(0.5 + squares / static_cast<double>(units));
  return change;
}

}  // namespace

template <class Real>
void bias_change(std::int64_t units, std::int64_t channels, std::int64_t row, const Real* means,
                 const Real* w, Real bias, Real* change, Scratch64& scratch) {
  const auto unscaled = unscaled_change(units, channels, row, means, w, bias, scratch);
  for (std::int64_t u = 0; u < units; ++u)
    change[u] = static_cast<Real>(unscaled.values[u] * unscaled.inverse);
}

template <class Real>
void bias_change_backward(std::int64_t units, std::int64_t channels, std::int64_t row, const Real* means,
                          const Real* w, Real bias, const Real* d_change, Real factor, Real* d_means,
                          double* d_w, double* d_bias, Scratch64& scratch) {
  const auto unscaled = unscaled_change(units, channels, row, means, w, bias, scratch);
  const auto n = static_cast<double>(units);
  double* const d = unscaled.values + units;
  double along = 0, mean = 0;
  for (std::int64_t u = 0; u < units; ++u) along += static_cast<double>(d_change[u]) * unscaled.values[u] / n;
  const double r = unscaled.inverse;
  for (std::int64_t u = 0; u < units; ++u) {
    d[u] = r * (static_cast<double>(d_change[u]) - unscaled.values[u] * r * r * along);
    mean += d[u] / n;
  }
  if (unscaled.clipped) {
    for (std::int64_t u = 0; u < units; ++u) d[u] -= mean;
  } else {
    *d_bias += mean * n;
  }
  for (std::int64_t u = 0; u < units; ++u)
    for (std::int64_t c = 0; c < row; ++c) {
      const double value = c < channels ? d[u] : 0.0;
      d_means[u * row + c] = static_cast<Real>(value * static_cast<double>(w[c])) * factor;
      if (c < channels) d_w[c] += value * static_cast<double>(means[u * row + c]);
    }
}

#define OUTERLOOP_INSTANTIATE(Real)                                                                          \
  template void weight_statistics(const Real*, std::int64_t, std::int64_t, Real*, Real*, Scratch64&);        \
  template void weight_statistics_backward(const Real*, std::int64_t, std::int64_t, const Real*,             \
                                           const Real*, const Real*, const Real*, Real*, Scratch64&);        \
  template void identity_waves(std::int64_t, Real*);                                                         \
  template Real constant_channels(std::int64_t, const Real*, const Real*, const Real*, const Real*,          \
                                  const Real*, Real*);                                                       \
  template void constant_channels_backward(std::int64_t, const Real*, Real, const Real*, Real*, Real*,       \
                                           Real*, double*);                                                  \
  template void bias_change(std::int64_t, std::int64_t, std::int64_t, const Real*, const Real*, Real, Real*, \
                            Scratch64&);                                                                     \
  template void bias_change_backward(std::int64_t, std::int64_t, std::int64_t, const Real*, const Real*,     \
                                     Real, const Real*, Real, Real*, double*, double*, Scratch64&);
OUTERLOOP_INSTANTIATE(float)
OUTERLOOP_INSTANTIATE(double)
#undef OUTERLOOP_INSTANTIATE

}  // namespace outerloop::rule::fused
