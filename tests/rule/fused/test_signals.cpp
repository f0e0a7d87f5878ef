// Features, error signals, constant channels and the batch norms of the top network: comparison with plain
// loops, adjoints against central differences, in float64 on every instruction set.
#include <cmath>
#include <functional>
#include <vector>

#include "common/rule/fused/constant_channels.h"
#include "common/rule/fused/signals.h"
#include "tests/catch.h"
#include "tests/rule/fused/numbers.h"

namespace outerloop::tests {
namespace {

using namespace rule::fused;
using Values = std::vector<double>;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

/// Checks `gradient` of a scalar function of `x` at every entry.
void check_gradient(const std::string& what, Values x, const Values& gradient,
                    const std::function<double(const Values&)>& f) {
  double scale = 1e-3, worst = 0;  // differences have rounding noise
  for (const double g : gradient) scale = std::max(scale, std::abs(g));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double value = x[i];
    worst = std::max(worst, difference_error(
                                [&](double step) {
                                  x[i] = value + step;
                                  const double result = f(x);
                                  x[i] = value;
                                  return result;
                                },
                                gradient[i], scale, 1e-7));
  }
  INFO(what);
  CHECK(worst < 1e-7);
}

double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// A problem of the feature kernels, its numbers dense: d [units, batch, D], x and z [units, batch].
struct FeatureCase {
  std::int64_t units, batch, delta;
  bool normalised, with_error;

  std::int64_t rows() const { return units * batch; }
  /// f as defined in the header, [rows, D + 2].
  Values plain(const Values& d, const Values& x, const Values& z) const {
    Values f;
    for (std::int64_t i = 0; i < rows(); ++i) {
      double squares = 0;
      for (std::int64_t c = 0; c < delta; ++c) squares += d[at(i * delta + c)] * d[at(i * delta + c)];
      const double r = normalised ? 1 / std::sqrt(1e-6 + squares / static_cast<double>(delta)) : 1;
      for (std::int64_t c = 0; c < delta; ++c) f.push_back(d[at(i * delta + c)] * r);
      f.push_back(x[at(i)]);
      f.push_back(z[at(i)]);
    }
    return f;
  }
};

Values with_slack(Values values) {
  values.resize(values.size() + kSlack);
  return values;
}

/// The kernels of one instruction set on one problem; its checks follow one another.
struct FeatureChecks {
  FeatureChecks(InstructionSet set, const FeatureCase& problem)
      : k(problem),
        kernels(signal_kernels<double>(set)),
        padded(padded_channels(k.delta + 2, convolution_kernels<double>(set).lanes)) {}

  void forward();
  void error_signal();
  void backward();

  FeatureCase k;
  const SignalKernels<double>& kernels;
  std::int64_t padded;
  Values d = normal_numbers(k.rows() * k.delta, 1), x = normal_numbers(k.rows(), 2),
         z = normal_numbers(k.rows(), 3);
  Values expected = k.plain(d, x, z);
  Values z_in = with_slack(z), f = Values(at(k.rows() * padded) + kSlack), rms = Values(at(k.rows()));
  Values workspace = Values(at(k.batch) + kSlack);
};

void FeatureChecks::forward() {
  Values d_in = with_slack(d), sum(at(padded)), squares(at(padded));
  Features<double> forward;
  forward.units = forward.last = k.units;
  forward.batch = k.batch;
  forward.delta = forward.d_row = k.delta;
  forward.padded = padded;
  forward.x = x.data();
  forward.z = z_in.data();
  forward.d = d_in.data();
  forward.inverse_rms = k.normalised ? rms.data() : nullptr;
  forward.f = f.data();
  forward.sum = sum.data();
  forward.sum_squares = squares.data();
  kernels.features(forward);
  Values dense, sums(at(padded));
  for (std::int64_t i = 0; i < k.rows(); ++i)
    for (std::int64_t c = 0; c < padded; ++c) {
      const double value = f[at(i * padded + c)];
      if (c < k.delta + 2) dense.push_back(value);
      if (c >= k.delta + 2) CHECK(value == 0.0);
      sums[at(c)] += value;
    }
  CHECK(largest_error(dense, expected) < 1e-13);
  CHECK(largest_error(sum, sums) < 1e-12);
}

/// δ = d σ(z) + linear, unit by unit.
void FeatureChecks::error_signal() {
  const Values linear = normal_numbers(k.rows() * k.delta, 4);
  Values error(at(k.rows() * k.delta) + kSlack);
  Values linear_in = with_slack(linear);
  for (std::int64_t u = 0; u < k.units; ++u)
    kernels.error_signal(k.batch, k.delta, f.data() + u * k.batch * padded, padded, z_in.data() + u * k.batch,
                         linear_in.data() + u * k.batch * k.delta, k.delta,
                         error.data() + u * k.batch * k.delta, workspace.data());
  Values delta, expected_delta;
  for (std::int64_t i = 0; i < k.rows(); ++i)
    for (std::int64_t c = 0; c < k.delta; ++c) {
      delta.push_back(error[at(i * k.delta + c)]);
      expected_delta.push_back(expected[at(i * (k.delta + 2) + c)] * sigmoid(z[at(i)]) +
                               linear[at(i * k.delta + c)]);
    }
  CHECK(largest_error(delta, expected_delta) < 1e-13);
}

/// The adjoint of ⟨p, a f + ...⟩ + ⟨q, δ⟩, with batch norm's b and c as plain additions to the gradient by f.
void FeatureChecks::backward() {
  const Values p = normal_numbers(k.rows() * padded, 5),
               q = with_slack(normal_numbers(k.rows() * k.delta, 6));
  const Values a = normal_numbers(padded, 7), zero(at(padded));
  Values d_d(at(k.rows() * k.delta) + kSlack), d_x(at(k.rows())), d_z(at(k.rows()));
  FeaturesBackward<double> backward;
  backward.units = backward.last = k.units;
  backward.batch = k.batch;
  backward.delta = backward.d_row = k.delta;
  backward.padded = padded;
  backward.g = p.data();
  backward.f = f.data();
  backward.a = a.data();
  backward.b = backward.c = zero.data();
  backward.z = z_in.data();
  backward.d_error = k.with_error ? q.data() : nullptr;
  backward.inverse_rms = k.normalised ? rms.data() : nullptr;
  backward.d_d = d_d.data();
  backward.d_x = d_x.data();
  backward.d_z = d_z.data();
  kernels.features_backward(backward, workspace.data());
  const auto value = [&](const Values& d_at, const Values& x_at, const Values& z_at) {
    const Values g = k.plain(d_at, x_at, z_at);
    double sum_of = 0;
    for (std::int64_t i = 0; i < k.rows(); ++i)
      for (std::int64_t c = 0; c < k.delta + 2; ++c) {
        const double feature = g[at(i * (k.delta + 2) + c)];
        sum_of += a[at(c)] * p[at(i * padded + c)] * feature;
        if (k.with_error && c < k.delta) sum_of += q[at(i * k.delta + c)] * feature * sigmoid(z_at[at(i)]);
      }
    return sum_of;
  };
  d_d.resize(at(k.rows() * k.delta));
  check_gradient("d", d, d_d, [&](const Values& v) { return value(v, x, z); });
  check_gradient("x", x, d_x, [&](const Values& v) { return value(d, v, z); });
  check_gradient("z", z, d_z, [&](const Values& v) { return value(d, x, v); });
}

void check_features(InstructionSet set, const FeatureCase& k) {
  FeatureChecks checks(set, k);
  checks.forward();
  checks.error_signal();
  checks.backward();
}

void check_unit_norm(InstructionSet set, std::int64_t units, std::int64_t batch, std::int64_t channels) {
  const auto& kernels = signal_kernels<double>(set);
  const std::int64_t padded = padded_channels(channels, convolution_kernels<double>(set).lanes);
  const std::int64_t row = batch * padded, edged = row + 2 * padded;
  const Values dense = normal_numbers(units * batch * channels, 1), beta = normal_numbers(units, 2);
  const auto spread = [&](const Values& values) {
    Values z(at(units * row));
    for (std::int64_t i = 0; i < units * batch; ++i)
      for (std::int64_t c = 0; c < channels; ++c) z[at(i * padded + c)] = values[at(i * channels + c)];
    return z;
  };
  Values scale(at(units)), shift(at(units));
  const auto activation = [&](const Values& values, const Values& beta_at) {
    const Values z = spread(values);
    Values a(at(units * edged), NAN);
    kernels.unit_norm(
        {units, batch, channels, padded, z.data(), beta_at.data(), scale.data(), shift.data(), a.data()});
    return a;
  };
  // forward, with empty edges and padding
  const Values a = activation(dense, beta);
  for (std::int64_t u = 0; u < units; ++u) {
    double mean = 0, variance = 0;
    const double n = static_cast<double>(batch * channels);
    const double* z = dense.data() + u * batch * channels;
    for (std::int64_t i = 0; i < batch * channels; ++i) mean += z[i] / n;
    for (std::int64_t i = 0; i < batch * channels; ++i) variance += (z[i] - mean) * (z[i] - mean) / n;
    double worst = 0;
    for (std::int64_t b = -1; b <= batch; ++b)
      for (std::int64_t c = 0; c < padded; ++c) {
        const bool inside = b >= 0 && b < batch && c < channels;
        const double expected =
            inside ? std::max(0.0, (z[b * channels + c] - mean) / std::sqrt(variance + 1e-3) + beta[at(u)])
                   : 0;
        worst = std::max(worst, std::abs(a[at(u * edged + (b + 1) * padded + c)] - expected));
      }
    CHECK(worst < 1e-12);
  }
  // adjoint
  const Values p = normal_numbers(units * edged, 3), z = spread(dense);
  Values d_z(at(units * row)), d_beta(at(units));
  kernels.unit_norm_backward({units, batch, channels, padded, z.data(), beta.data(), scale.data(),
                              shift.data(), p.data() + padded, edged, d_z.data(), d_beta.data()});
  Values d_dense;
  for (std::int64_t i = 0; i < units * batch; ++i)
    for (std::int64_t c = 0; c < padded; ++c) {
      if (c < channels) d_dense.push_back(d_z[at(i * padded + c)]);
      if (c >= channels) CHECK(d_z[at(i * padded + c)] == 0.0);
    }
  check_gradient("z", dense, d_dense, [&](const Values& v) { return dot(p, activation(v, beta)); });
  check_gradient("beta", beta, d_beta, [&](const Values& v) { return dot(p, activation(dense, v)); });
}

}  // namespace

TEST_CASE("features and error signals, forward and adjoint") {
  for (const auto& name : available_instruction_sets()) {
    INFO(name);
    for (const std::int64_t delta : {1, 3, 6, 7, 8, 14, 17})
      for (const bool normalised : {true, false}) {
        INFO("D " << delta << " normalised " << normalised);
        check_features(find_instruction_set(name), {3, 5, delta, normalised, true});
        check_features(find_instruction_set(name), {1, 1, delta, normalised, false});
      }
  }
}

TEST_CASE("the batch norm of units over channels and batch, forward and adjoint") {
  for (const auto& name : available_instruction_sets()) {
    INFO(name);
    for (const std::int64_t channels : {1, 5, 8, 16, 19})
      check_unit_norm(find_instruction_set(name), 3, 4, channels);
    check_unit_norm(find_instruction_set(name), 1, 1, 2);
  }
}

TEST_CASE("statistics of weights and their adjoint") {
  Scratch64 scratch;
  for (const auto& sizes : {std::pair<std::int64_t, std::int64_t>{5, 7}, {1, 4}, {6, 1}, {1, 1}}) {
    const auto n = sizes.first, m = sizes.second;  // C++17 lets no lambda capture a structured binding
    const Values W = normal_numbers(n * m, 1), p = normal_numbers(4 * m, 2), q = normal_numbers(4 * n, 3);
    Values column(at(4 * m)), rows(at(4 * n)), dW(at(n * m));
    const auto value = [&](const Values& w) {
      weight_statistics(w.data(), n, m, column.data(), rows.data(), scratch);
      return dot(p, column) + dot(q, rows);
    };
    value(W);
    double mean = 0, absolute = 0, squares = 0, variance = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const double w = W[at(i * m)];
      mean += w / static_cast<double>(n);
      absolute += std::abs(w) / static_cast<double>(n);
      squares += w * w / static_cast<double>(n);
    }
    for (std::int64_t i = 0; i < n; ++i)
      variance += (W[at(i * m)] - mean) * (W[at(i * m)] - mean) / static_cast<double>(n);
    CHECK(column[0] == Approx(absolute));
    CHECK(column[1] == Approx(std::sqrt(squares + 1e-6)));
    CHECK(column[2] == Approx(mean));
    CHECK(column[3] == Approx(std::sqrt(variance + 1e-8)));
    weight_statistics_backward(W.data(), n, m, column.data(), rows.data(), p.data(), q.data(), dW.data(),
                               scratch);
    // With one number in a row or column, the spread is constant, and central differences are only rounding
    // noise.
    check_gradient("W", W, dW, value);
  }
}

TEST_CASE("the change of biases and its adjoint, on both sides of its clip") {
  Scratch64 scratch;
  const std::int64_t units = 6, channels = 5, row = 8;
  const Values means = normal_numbers(units * row, 1), w = normal_numbers(channels, 2),
               p = normal_numbers(units, 3);
  for (const double bias : {3.0, -3.0}) {
    const auto value = [&](const Values& means_at, const Values& w_at, double bias_at) {
      Values change(at(units));
      bias_change(units, channels, row, means_at.data(), w_at.data(), bias_at, change.data(), scratch);
      return dot(p, change);
    };
    Values d_means(at(units * row)), d_w(at(channels)), d_bias(1);
    bias_change_backward(units, channels, row, means.data(), w.data(), bias, p.data(), 1.0, d_means.data(),
                         d_w.data(), d_bias.data(), scratch);
    check_gradient("means", means, d_means, [&](const Values& v) { return value(v, w, bias); });
    check_gradient("w", w, d_w, [&](const Values& v) { return value(means, v, bias); });
    if (bias < 0)
      CHECK(d_bias[0] == 0.0);
    else
      check_gradient("bias", {bias}, d_bias, [&](const Values& v) { return value(means, w, v[0]); });
  }
}

}  // namespace outerloop::tests
