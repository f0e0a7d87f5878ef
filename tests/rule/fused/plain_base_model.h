#pragma once
// The base model's forward pass written after docs/update-rule.md, one number at a time in float64.
#include <cmath>
#include <vector>

#include "common/rule/fused/base_model.h"
#include "tests/rule/fused/numbers.h"

namespace outerloop::tests {

inline double plain_nonlinearity(rule::Nonlinearity kind, double z) {
  switch (kind) {
    case rule::Nonlinearity::relu:
      return std::max(z, 0.0);
    case rule::Nonlinearity::leaky_relu:
      return z > 0 ? z : 0.2 * z;
    case rule::Nonlinearity::swish:
      return z / (1 + std::exp(-z));
    case rule::Nonlinearity::elu:
      return z > 0 ? z : std::exp(z) - 1;
    case rule::Nonlinearity::tanh:
      return std::tanh(z);
    case rule::Nonlinearity::step:
      return z > 0 ? 1 : 0;
  }
  return std::nan("");
}

/// φ without V, l = 0 .. L-1.
struct PlainPhi {
  std::vector<std::vector<double>> W, b;

  PlainPhi(const rule::Architecture& architecture, std::uint32_t seed) {
    for (std::size_t l = 1; l < architecture.units.size(); ++l) {
      const auto size = static_cast<std::uint32_t>(l);
      W.push_back(normal_numbers(architecture.units[l - 1] * architecture.units[l], seed + 10 * size));
      b.push_back(normal_numbers(architecture.units[l], seed + 10 * size + 1));
      for (double& value : b.back()) value *= 0.5;
    }
  }
};

struct PlainPass {
  std::vector<std::vector<double>> x, z;  ///< [l = 0 .. L]: [N_l, batch]
};

inline PlainPass plain_forward(const rule::Architecture& architecture, const PlainPhi& phi,
                               const std::vector<double>& input, std::int64_t batch) {
  PlainPass pass{{input}, {input}};
  const auto B = static_cast<std::size_t>(batch);
  for (std::size_t l = 0; l + 1 < architecture.units.size(); ++l) {
    const auto lower = static_cast<std::size_t>(architecture.units[l]);
    const auto upper = static_cast<std::size_t>(architecture.units[l + 1]);
    std::vector<double> x(upper * B), z(upper * B);
    for (std::size_t j = 0; j < upper; ++j) {
      std::vector<double> y(B, 0.0);
      for (std::size_t i = 0; i < lower; ++i)
        for (std::size_t t = 0; t < B; ++t) y[t] += phi.W[l][i * upper + j] * pass.x[l][i * B + t];
      double mean = 0, variance = 0;
      for (const double v : y) mean += v / static_cast<double>(batch);
      for (const double v : y) variance += (v - mean) * (v - mean) / static_cast<double>(batch);
      for (std::size_t t = 0; t < B; ++t) {
        z[j * B + t] = (y[t] - mean) / std::sqrt(variance + 1e-6) + phi.b[l][j];
        x[j * B + t] = plain_nonlinearity(architecture.nonlinearity, z[j * B + t]);
      }
    }
    pass.x.push_back(std::move(x));
    pass.z.push_back(std::move(z));
  }
  return pass;
}

/// φ, or zeros of its shape, in the engine's precision; every tensor begins `shift` numbers after a boundary.
template <class Real>
struct EnginePhi {
  std::vector<Shifted<Real>> W, b;
  rule::fused::PhiPointers<Real> pointers;

  EnginePhi(const PlainPhi& phi, std::int64_t shift, bool zeros = false) {
    for (std::size_t l = 0; l < phi.W.size(); ++l) {
      W.emplace_back(phi.W[l], shift);
      b.emplace_back(phi.b[l], shift);
      if (!zeros) continue;
      std::fill_n(W[l].data(), phi.W[l].size(), Real{0});
      std::fill_n(b[l].data(), phi.b[l].size(), Real{0});
    }
    for (std::size_t l = 0; l < phi.W.size(); ++l) {
      pointers.W.push_back(W[l].data());
      pointers.b.push_back(b[l].data());
      pointers.V.push_back(nullptr);
    }
  }

  /// All values, layer by layer.
  std::vector<Real> values() {
    std::vector<Real> all;
    for (std::size_t l = 0; l < W.size(); ++l)
      for (auto* part : {&W[l], &b[l]}) {
        const auto some = part->values();
        all.insert(all.end(), some.begin(), some.end());
      }
    return all;
  }
};

/// Calls f(tensor of the plain φ, its derivatives in the layout of EnginePhi) for every tensor of φ.
template <class Real, class F>
void for_tensors(PlainPhi& phi, EnginePhi<Real>& derivatives, const F& f) {
  for (std::size_t l = 0; l < phi.W.size(); ++l) {
    f("W" + std::to_string(l + 1), phi.W[l], derivatives.W[l].values());
    f("b" + std::to_string(l + 1), phi.b[l], derivatives.b[l].values());
  }
}

}  // namespace outerloop::tests
