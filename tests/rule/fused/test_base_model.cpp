// The base model inside the fused engine against its plain version, and its adjoint against central
// differences.
#include <cmath>
#include <limits>

#include "common/rule/fused/base_model.h"
#include "tests/catch.h"
#include "tests/rule/fused/plain_base_model.h"

namespace outerloop::tests {
namespace {

using namespace rule::fused;
using rule::Architecture;
using rule::Nonlinearity;

struct Case {
  std::vector<std::int64_t> units;
  std::int64_t batch;
};

std::vector<Case> cases() {
  return {{{7, 5, 6, 4}, 9}, {{3, 1, 2}, 5}, {{33, 17}, 2}, {{19, 35, 16}, 64}, {{1, 1}, 1}, {{5, 3, 4}, 33}};
}

/// One pass in the engine's precision.
template <class Real>
struct Pass {
  EnginePhi<Real> phi, d_phi;
  std::vector<Shifted<Real>> x, z, rstd, dx, dz;
  Activations<Real> activations;
  ActivationGradients<Real> gradients;
  std::vector<Real> workspace;
  BaseModel<Real> model;

  Pass(InstructionSet set, const Architecture& architecture, const PlainPhi& plain,
       const std::vector<double>& input, std::int64_t batch, std::int64_t shift)
      : phi(plain, shift), d_phi(plain, shift, true), model(set) {
    activations.batch = batch;
    for (const auto units : architecture.units) {
      x.emplace_back(units * batch, shift);
      z.emplace_back(units * batch, shift);
      rstd.emplace_back(units, shift);
    }
    x[0] = Shifted<Real>(input, shift);
    for (std::size_t l = 0; l < x.size(); ++l) {
      activations.x.push_back(x[l].data());
      activations.z.push_back(l == 0 ? x[0].data() : z[l].data());
      activations.rstd.push_back(l == 0 ? nullptr : rstd[l].data());
    }
    workspace.resize(static_cast<std::size_t>(model.workspace_numbers(architecture, batch)));
    model.forward(architecture, architecture.layers(), phi.pointers, activations, workspace.data());
  }

  /// `by_x`, `by_z` [l]: gradients from outside; none by z of layer 1.
  void backward(const Architecture& architecture, const std::vector<std::vector<double>>& by_x,
                const std::vector<std::vector<double>>& by_z, std::int64_t shift) {
    for (std::size_t l = 0; l < by_x.size(); ++l) {
      dx.emplace_back(by_x[l], shift);
      dz.emplace_back(by_z[l], shift);
    }
    for (std::size_t l = 0; l < by_x.size(); ++l) {
      gradients.x.push_back(dx[l].data());
      gradients.z.push_back(l < 2 ? nullptr : dz[l].data());
    }
    model.backward(architecture, architecture.layers(), phi.pointers, activations, gradients, d_phi.pointers,
                   workspace.data());
  }
};

double inner_product(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Gradients from outside; they belong to the loss Σ x·by_x + Σ z·by_z.
struct Outside {
  std::vector<std::vector<double>> by_x, by_z;

  Outside(const Architecture& architecture, std::int64_t batch) {
    std::uint32_t seed = 500;
    for (const auto units : architecture.units) {
      by_x.push_back(normal_numbers(units * batch, seed++));
      by_z.push_back(normal_numbers(units * batch, seed++));
    }
  }

  double loss(const Architecture& architecture, const PlainPhi& phi, const std::vector<double>& input,
              std::int64_t batch) const {
    const auto pass = plain_forward(architecture, phi, input, batch);
    double sum = 0;
    for (std::size_t l = 0; l < pass.x.size(); ++l) {
      sum += inner_product(pass.x[l], by_x[l]);
      if (l > 1) sum += inner_product(pass.z[l], by_z[l]);
    }
    return sum;
  }
};

double largest(const std::vector<double>& values) {
  double top = 0;
  for (const double v : values) top = std::max(top, std::abs(v));
  return top;
}

/// Every derivative against central differences of the plain version.
void check_adjoint(InstructionSet set, const Architecture& architecture, std::int64_t batch) {
  PlainPhi phi(architecture, 3);
  auto input = normal_numbers(architecture.inputs() * batch, 4);
  const Outside outside(architecture, batch);
  Pass<double> pass(set, architecture, phi, input, batch, 0);
  pass.backward(architecture, outside.by_x, outside.by_z, 0);

  double worst = 0;
  const auto check = [&](const std::string&, std::vector<double>& values, const std::vector<double>& d) {
    const double scale = std::max(1.0, largest(d));
    for (std::size_t i = 0; i < values.size(); i += 1 + values.size() / 7) {
      const double before = values[i];
      const auto moved = [&](double step) {
        values[i] = before + step;
        const double loss = outside.loss(architecture, phi, input, batch);
        values[i] = before;
        return loss;
      };
      worst = std::max(worst, difference_error(moved, d[i], scale, 1e-7));
    }
  };
  for_tensors(phi, pass.d_phi, check);
  check("input", input, pass.dx[0].values());
  CHECK(worst < 1e-7);
}

}  // namespace

TEST_CASE("the base model's forward pass and its plain version agree") {
  for (const auto& name : available_instruction_sets())
    for (const auto kind : all_nonlinearities())
      for (const auto& c : cases()) {
        INFO(name << ", non-linearity " << static_cast<int>(kind) << ", batch " << c.batch);
        const Architecture architecture{c.units, kind};
        const PlainPhi phi(architecture, 1);
        const auto input = normal_numbers(c.units[0] * c.batch, 2);
        const auto plain = plain_forward(architecture, phi, input, c.batch);
        const auto set = find_instruction_set(name);
        Pass<double> wide(set, architecture, phi, input, c.batch, 0);
        Pass<float> narrow(set, architecture, phi, input, c.batch, 0);
        for (std::size_t l = 1; l < c.units.size(); ++l) {
          CHECK(largest_error(wide.z[l].values(), plain.z[l]) < 1e-12);
          CHECK(largest_error(wide.x[l].values(), plain.x[l]) < 1e-12);
          CHECK(largest_error(narrow.z[l].values(), plain.z[l]) < 2e-5);
          CHECK(largest_error(narrow.x[l].values(), plain.x[l]) < 2e-5);
        }
      }
}

TEST_CASE("the base model's adjoint and central differences agree") {
  for (const auto& name : available_instruction_sets())
    for (const auto kind : all_nonlinearities())
      for (const auto& c : cases()) {
        INFO(name << ", non-linearity " << static_cast<int>(kind) << ", batch " << c.batch);
        check_adjoint(find_instruction_set(name), Architecture{c.units, kind}, c.batch);
      }
}

TEST_CASE("the base model's adjoint in float32, and its bits wherever its tensors begin") {
  for (const auto& name : available_instruction_sets())
    for (const auto& c : cases()) {
      INFO(name << ", batch " << c.batch);
      const Architecture architecture{c.units, Nonlinearity::swish};
      const PlainPhi phi(architecture, 5);
      const auto input = normal_numbers(c.units[0] * c.batch, 6);
      const Outside outside(architecture, c.batch);
      const auto set = find_instruction_set(name);
      Pass<double> wide(set, architecture, phi, input, c.batch, 0);
      wide.backward(architecture, outside.by_x, outside.by_z, 0);
      std::vector<float> first;
      for (const std::int64_t shift : {0, 1, 3}) {
        Pass<float> narrow(set, architecture, phi, input, c.batch, shift);
        narrow.backward(architecture, outside.by_x, outside.by_z, shift);
        auto all = narrow.d_phi.values();
        const auto d_input = narrow.dx[0].values();
        CHECK(largest_error(all, wide.d_phi.values()) < 1e-4);
        CHECK(largest_error(d_input, wide.dx[0].values()) < 1e-4);
        all.insert(all.end(), d_input.begin(), d_input.end());
        if (shift == 0) first = all;
        CHECK(same_bits(all, first));
      }
    }
}

TEST_CASE("gradients are added to what is there, and nobody may need those by the input") {
  const Architecture architecture{{4, 3, 2}, Nonlinearity::tanh};
  const PlainPhi phi(architecture, 7);
  const auto input = normal_numbers(4 * 6, 8);
  const Outside outside(architecture, 6);
  const auto set = find_instruction_set("auto");
  Pass<double> once(set, architecture, phi, input, 6, 0);
  once.backward(architecture, outside.by_x, outside.by_z, 0);
  auto expected = once.d_phi.values();
  for (double& value : expected) value *= 2;

  for (std::size_t l = 1; l < 3; ++l) {
    std::copy(outside.by_x[l].begin(), outside.by_x[l].end(), once.dx[l].data());
    once.gradients.x[l] = once.dx[l].data();
  }
  once.gradients.x[0] = nullptr;
  const auto d_input = once.dx[0].values();
  once.model.backward(architecture, 2, once.phi.pointers, once.activations, once.gradients,
                      once.d_phi.pointers, once.workspace.data());
  CHECK(largest_error(once.d_phi.values(), expected) < 1e-14);
  CHECK(same_bits(once.dx[0].values(), d_input));
}

TEST_CASE("non-linearities far from zero, at zero and where nothing is a number") {
  // One example per row: batch norm leaves zero, so that z is the bias.
  const double nan = std::nan("");
  const std::vector<double> z = {-1e30, -800, -100, -20, -1e-30, 0, 1e-30, 20, 100, 800, 1e30, nan};
  const auto rows = static_cast<std::int64_t>(z.size());
  for (const auto& name : available_instruction_sets())
    for (const auto kind : all_nonlinearities()) {
      INFO(name << ", non-linearity " << static_cast<int>(kind));
      const auto& kernels = row_kernels<float>(find_instruction_set(name));
      Shifted<float> bias(z, 1), pre(rows, 1), x(rows, 1), rstd(rows, 1);
      kernels.activate(kind, rows, 1, bias.data(), pre.data(), x.data(), rstd.data());
      for (std::size_t i = 0; i + 1 < z.size(); ++i) {
        const double expected = plain_nonlinearity(kind, z[i]);
        CHECK(static_cast<double>(x.data()[i]) == Approx(expected).epsilon(1e-6).margin(1e-6));
      }
      CHECK(std::isnan(x.data()[z.size() - 1]) == (kind != Nonlinearity::step));
    }
  const auto& kernels = row_kernels<double>(find_instruction_set("auto"));
  Shifted<double> zero(1, 0), d_bias(1, 0);
  const double rstd = 1;
  double dx = 1;
  kernels.activate_backward(Nonlinearity::relu, 1, 1, zero.data(), zero.data(), &rstd, nullptr, &dx,
                            d_bias.data());
  CHECK(d_bias.data()[0] == 0.0);  // relu′(0) = 0
}

namespace {

template <class Real>
void check_standardise(InstructionSet set, std::int64_t rows, std::int64_t columns, double tolerance) {
  const auto& kernels = row_kernels<Real>(set);
  auto values = normal_numbers(rows * columns, 11);
  for (std::int64_t i = 0; i < columns; ++i)  // a row of denormals, all of one sign
    values[static_cast<std::size_t>(i)] = std::abs(values[static_cast<std::size_t>(i)]) * 1e-39;
  const auto du = normal_numbers(rows * columns, 12), before = normal_numbers(rows * columns, 13);
  std::vector<double> u(values.size()), dx = before;
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto first = static_cast<std::size_t>(r * columns), n = static_cast<std::size_t>(columns);
    double mean = 0, variance = 0, sum = 0, along = 0;
    for (std::size_t i = first; i < first + n; ++i) mean += values[i] / static_cast<double>(n);
    for (std::size_t i = first; i < first + n; ++i)
      variance += (values[i] - mean) * (values[i] - mean) / static_cast<double>(n);
    const double rstd = 1 / std::sqrt(variance + 1e-6);
    for (std::size_t i = first; i < first + n; ++i) {
      u[i] = (values[i] - mean) * rstd;
      sum += du[i] / static_cast<double>(n);
      along += du[i] * u[i] / static_cast<double>(n);
    }
    for (std::size_t i = first; i < first + n; ++i) dx[i] += rstd * (du[i] - sum - u[i] * along);
  }
  std::vector<Real> first_u, first_dx;
  for (const std::int64_t shift : {0, 1, 5}) {
    Shifted<Real> x(values, shift), result(rows * columns, shift), rstd(rows, shift), d(du, shift),
        d_x(before, shift);
    kernels.standardise(rows, columns, x.data(), result.data(), rstd.data());
    kernels.standardise_backward(rows, columns, result.data(), rstd.data(), d.data(), d_x.data());
    CHECK(largest_error(result.values(), u) < tolerance);
    CHECK(largest_error(d_x.values(), dx) < tolerance);
    if (shift == 0) first_u = result.values(), first_dx = d_x.values();
    CHECK(same_bits(result.values(), first_u));
    CHECK(same_bits(d_x.values(), first_dx));
    kernels.standardise(rows, columns, x.data(), x.data(), rstd.data());  // in place
    CHECK(same_bits(x.values(), first_u));
  }
}

}  // namespace

TEST_CASE("standardised rows and their adjoint, whatever their length and wherever they begin") {
  for (const auto& name : available_instruction_sets())
    for (const std::int64_t columns : {1, 2, 3, 7, 8, 15, 16, 17, 64, 129}) {
      INFO(name << ", " << columns << " columns");
      check_standardise<double>(find_instruction_set(name), 4, columns, 1e-12);
      check_standardise<float>(find_instruction_set(name), 4, columns, 2e-5);
    }
}

}  // namespace outerloop::tests
