#include "tests/rule/fused/plain_weight_change.h"

#include <array>
#include <cmath>
#include <functional>

namespace outerloop::tests {
namespace {

using namespace rule::fused;

struct Matrix {
  std::int64_t rows, columns;
  std::vector<double> data;
  Matrix(std::int64_t r, std::int64_t c) : rows(r), columns(c), data(static_cast<std::size_t>(r * c)) {}
  double& at(std::int64_t i, std::int64_t j) { return data[static_cast<std::size_t>(i * columns + j)]; }
  double at(std::int64_t i, std::int64_t j) const { return data[static_cast<std::size_t>(i * columns + j)]; }
};

using Element = std::function<double(std::int64_t, std::int64_t)>;

Matrix matrix(std::int64_t rows, std::int64_t columns, const Element& element) {
  Matrix result(rows, columns);
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j) result.at(i, j) = element(i, j);
  return result;
}

Matrix product(const Matrix& a, const Matrix& b) {
  return matrix(a.rows, b.columns, [&](auto i, auto j) {
    double sum = 0;
    for (std::int64_t k = 0; k < a.columns; ++k) sum += a.at(i, k) * b.at(k, j);
    return sum;
  });
}

/// a bᵀ for rows of `length` numbers.
Matrix outer(const double* a, std::int64_t a_rows, const double* b, std::int64_t b_rows, std::int64_t length,
             double scale) {
  return matrix(a_rows, b_rows, [&](auto i, auto j) {
    double sum = 0;
    for (std::int64_t k = 0; k < length; ++k) sum += a[i * length + k] * b[j * length + k];
    return scale * sum;
  });
}

/// Divides each column by sqrt(epsilon + its mean square).
Matrix column_normalised(const Matrix& a, double epsilon) {
  Matrix result = a;
  for (std::int64_t j = 0; j < a.columns; ++j) {
    double sum = 0;
    for (std::int64_t i = 0; i < a.rows; ++i) sum += a.at(i, j) * a.at(i, j);
    for (std::int64_t i = 0; i < a.rows; ++i)
      result.at(i, j) = a.at(i, j) / std::sqrt(epsilon + sum / static_cast<double>(a.rows));
  }
  return result;
}

/// S of docs/update-rule.md, §3.4, from the two linears of one readout.
Matrix symmetric(const double* row, const double* col, std::int64_t units, std::int64_t length) {
  const Matrix R = outer(row, units, col, units, length, 1 / static_cast<double>(length));
  return matrix(units, units, [&](auto i, auto j) {
    return i == j ? 0.0 : (R.at(i, j) + R.at(j, i)) / std::sqrt(2.0) / std::sqrt(static_cast<double>(units));
  });
}

double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

std::vector<Matrix> terms(const WeightChangeSize& size, const WeightChangeInput<double>& in,
                          const Matrix& w) {
  const std::int64_t n = size.lower, m = size.upper, B = size.batch, K = size.batch * size.channels;
  const auto R = [&](LowerReadout row, UpperReadout col) {
    return outer(in.lower[row], n, in.upper[col], m, K, 1 / static_cast<double>(K));
  };
  const auto each = [&](const Element& element) { return matrix(n, m, element); };
  const auto signed_by_w = [&](const Matrix& a) {
    return each([&](auto i, auto j) { return sign(w.at(i, j)) * a.at(i, j); });
  };
  const Matrix q = each([&](auto i, auto j) { return std::sqrt(1 + w.at(i, j) * w.at(i, j)) - 1; });
  const Matrix R1 = R(kW1Row, kW1Col), R_rbf = R(kRbfRow, kRbfCol);
  const double root = std::sqrt(static_cast<double>(m));

  Matrix c = product(w, outer(in.x_upper, m, in.x_upper, m, B, 1 / (static_cast<double>(B) * root)));
  double rms = 0;
  for (const double value : c.data) rms += (value * value + 1e-8) / static_cast<double>(n * m);
  for (double& value : c.data) value /= std::sqrt(rms);

  std::vector<Matrix> all;
  all.push_back(R(kW0Row, kW0Col));
  all.push_back(each([&](auto i, auto j) { return w.at(i, j) * R1.at(i, j); }));
  all.push_back(c);
  all.push_back(outer(in.x_lower, n, in.x_upper, m, B, -1 / static_cast<double>(B)));
  all.push_back(each([&](auto i, auto j) { return w.at(i, j) * w.at(i, j) * sign(w.at(i, j)); }));
  all.push_back(product(symmetric(in.lower[kLinLowerRow], in.lower[kLinLowerCol], n, K), w));
  all.push_back(
      product(w, outer(in.upper[kPsd], m, in.upper[kPsd], m, K, 1 / (static_cast<double>(K) * root))));
  all.push_back(product(w, symmetric(in.upper[kLinUpperRow], in.upper[kLinUpperCol], m, K)));
  all.push_back(each([&](auto i, auto j) { return std::exp(-w.at(i, j) * w.at(i, j)) * R_rbf.at(i, j); }));
  all.push_back(signed_by_w(product(symmetric(in.lower[kSqrLowerRow], in.lower[kSqrLowerCol], n, K), q)));
  all.push_back(signed_by_w(product(q, symmetric(in.upper[kSqrUpperRow], in.upper[kSqrUpperCol], m, K))));
  all.push_back(w);
  return all;
}

}  // namespace

PlainWeightChange plain_weight_change(const WeightChangeSize& size, const WeightChangeInput<double>& input) {
  const std::int64_t n = size.lower, m = size.upper;
  const Matrix w = column_normalised(matrix(n, m, [&](auto i, auto j) { return input.W[i * m + j]; }), 1e-6);
  Matrix change = matrix(n, m, [&](auto, auto) { return input.merge_b / 12; });
  const auto all = terms(size, input, w);
  for (std::size_t k = 0; k < all.size(); ++k) {
    const Matrix normalised = column_normalised(all[k], 1);
    for (std::size_t e = 0; e < change.data.size(); ++e)
      change.data[e] += input.merge_w[k] * normalised.data[e] / 12;
  }
  PlainWeightChange result;
  for (std::size_t e = 0; e < change.data.size(); ++e)
    result.along += change.data[e] * w.data[e] / static_cast<double>(n * m);
  const double removed = result.along > 0 ? result.along : 0;
  for (std::size_t e = 0; e < change.data.size(); ++e)
    change.data[e] = (change.data[e] - w.data[e] * removed) / std::sqrt(12.0);
  result.delta = column_normalised(change, 1).data;
  for (std::size_t e = 0; e < change.data.size(); ++e) result.delta[e] -= w.data[e] / 7;
  return result;
}

}  // namespace outerloop::tests
