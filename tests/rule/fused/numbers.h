#pragma once
// Random numbers in buffers with any alignment.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "common/rule/phi.h"
#include "common/rule/random.h"

namespace outerloop::tests {

/// All non-linearities of the base model.
inline std::vector<rule::Nonlinearity> all_nonlinearities() {
  using rule::Nonlinearity;
  return {Nonlinearity::relu, Nonlinearity::leaky_relu, Nonlinearity::swish,
          Nonlinearity::elu,  Nonlinearity::tanh,       Nonlinearity::step};
}

/// Normally distributed, from (seed, element).
inline std::vector<double> normal_numbers(std::int64_t count, std::uint32_t seed) {
  const rule::Random random(seed, 0, 0, rule::Purpose::test);
  std::vector<double> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(random.normal(static_cast<std::uint32_t>(i)));
  return values;
}

/// A copy of `values` in another precision, `shift` numbers after a vector boundary. Numbers past its end are
/// NaN, so that reading them is detected.
template <class Real>
class Shifted {
 public:
  Shifted(const std::vector<double>& values, std::int64_t shift)
      : storage_(values.size() + kRoom, static_cast<Real>(std::nan(""))), size_(values.size()) {
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
    const std::uintptr_t to_boundary = (kBytes - address % kBytes) % kBytes / sizeof(Real);
    first_ = to_boundary + static_cast<std::size_t>(shift);
    std::transform(values.begin(), values.end(), data(), [](double v) { return static_cast<Real>(v); });
  }
  Shifted(std::int64_t zeros, std::int64_t shift)
      : Shifted(std::vector<double>(static_cast<std::size_t>(zeros), 0.0), shift) {}

  Real* data() { return storage_.data() + first_; }
  std::vector<Real> values() { return std::vector<Real>(data(), data() + size_); }

 private:
  static constexpr std::uintptr_t kBytes = 128;
  static constexpr std::size_t kRoom = 2 * kBytes / sizeof(Real);
  std::vector<Real> storage_;
  std::size_t size_;
  std::size_t first_ = 0;
};

template <class Real>
bool same_bits(const std::vector<Real>& a, const std::vector<Real>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Real)) == 0;
}

/// The largest absolute difference, relative to the largest number of `b`, but at least one.
template <class A, class B>
double largest_error(const std::vector<A>& a, const std::vector<B>& b) {
  double error = a.size() == b.size() ? 0.0 : HUGE_VAL, scale = 1.0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    error = std::isnan(difference) ? HUGE_VAL : std::max(error, difference);
    scale = std::max(scale, std::abs(static_cast<double>(b[i])));
  }
  return error / scale;
}

/// The error of a derivative against central differences of `f(i, step)`, as a share of `scale`. A long step
/// loses the fewest digits but may cross a kink; then a shorter one decides. A wrong derivative is wrong at
/// every step.
template <class F>
double difference_error(const F& f, double derivative, double scale, double tolerance) {
  double error = HUGE_VAL;
  for (const double step : {1e-4, 1e-5, 1e-6, 1e-7}) {
    error = std::min(error, std::abs((f(step) - f(-step)) / (2 * step) - derivative) / scale);
    if (error < tolerance) break;
  }
  return error;
}

}  // namespace outerloop::tests
