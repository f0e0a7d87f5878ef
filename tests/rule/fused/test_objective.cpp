// The meta-objective of the fused engine against a plain version, and its adjoint against central
// differences.
#include <cmath>

#include "common/rule/fused/objective.h"
#include "tests/catch.h"
#include "tests/rule/fused/plain_base_model.h"

namespace outerloop::tests {
namespace {

using namespace rule::fused;
using rule::Architecture;
using rule::Nonlinearity;

constexpr double kRidge = 0.1;

struct Data {
  Architecture architecture;
  std::int64_t examples, way, regression;
  std::vector<double> x;  ///< [N_0, 2 K']
  rule::Batch a, b;       ///< only their y
  std::vector<double> y_a, y_b;

  std::int64_t targets() const { return way + regression; }

  Data(Architecture of, std::int64_t per_class, std::int64_t classes, std::int64_t columns)
      : architecture(std::move(of)), examples(per_class * classes), way(classes), regression(columns) {
    x = normal_numbers(architecture.inputs() * 2 * examples, 21);
    a = labels(22);
    b = labels(23);
    y_a.resize(a.y.size());
    y_b.resize(b.y.size());
    normalise_targets(a, y_a.data());
    normalise_targets(b, y_b.data());
  }

 private:
  rule::Batch labels(std::uint32_t seed) const {
    rule::Batch batch;
    batch.examples = examples;
    batch.targets = targets();
    const auto noise = normal_numbers(examples * targets(), seed);
    for (std::int64_t i = 0; i < examples; ++i)
      for (std::int64_t c = 0; c < targets(); ++c)
        batch.y.push_back(c < way ? (i % way == c ? 1.0 : 0.0)
                                  : noise[static_cast<std::size_t>(i * targets() + c)]);
    return batch;
  }
};

/// Solves m [n, n] x = r [n, columns] by Gauss's elimination with row exchanges.
std::vector<double> solve(std::vector<double> m, std::vector<double> r, std::size_t n, std::size_t columns) {
  for (std::size_t p = 0; p < n; ++p) {
    std::size_t best = p;
    for (std::size_t i = p; i < n; ++i)
      if (std::abs(m[i * n + p]) > std::abs(m[best * n + p])) best = i;
    for (std::size_t j = 0; j < n; ++j) std::swap(m[p * n + j], m[best * n + j]);
    for (std::size_t j = 0; j < columns; ++j) std::swap(r[p * columns + j], r[best * columns + j]);
    for (std::size_t i = 0; i < n; ++i) {
      if (i == p) continue;
      const double share = m[i * n + p] / m[p * n + p];
      for (std::size_t j = 0; j < n; ++j) m[i * n + j] -= share * m[p * n + j];
      for (std::size_t j = 0; j < columns; ++j) r[i * columns + j] -= share * r[p * columns + j];
    }
  }
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < columns; ++j) r[i * columns + j] /= m[i * n + i];
  return r;
}

/// Y − mean(Y), scaled to a mean squared length of one.
std::vector<double> plain_targets(const rule::Batch& batch) {
  double mean = 0, squares = 0;
  for (const double y : batch.y) mean += y / static_cast<double>(batch.y.size());
  for (const double y : batch.y) squares += (y - mean) * (y - mean) / static_cast<double>(batch.examples);
  std::vector<double> result;
  for (const double y : batch.y) result.push_back((y - mean) / std::sqrt(squares));
  return result;
}

double plain_objective(const Data& data, const PlainPhi& phi) {
  const auto pass = plain_forward(data.architecture, phi, data.x, 2 * data.examples);
  const auto K = static_cast<std::size_t>(data.examples), M = static_cast<std::size_t>(data.targets());
  const std::size_t F = static_cast<std::size_t>(data.architecture.outputs()) + 1;
  const auto feature = [&](std::size_t f, std::size_t e) {
    return f + 1 == F ? 1.0 : pass.x.back()[f * 2 * K + e];
  };
  const auto y_a = plain_targets(data.a), y_b = plain_targets(data.b);
  std::vector<double> gram(F * F, 0.0), right(F * M, 0.0);
  for (std::size_t f = 0; f < F; ++f)
    for (std::size_t e = 0; e < K; ++e) {
      for (std::size_t g = 0; g < F; ++g) gram[f * F + g] += feature(f, e) * feature(g, e);
      for (std::size_t c = 0; c < M; ++c) right[f * M + c] += feature(f, e) * y_a[e * M + c];
    }
  for (std::size_t f = 0; f + 1 < F; ++f) gram[f * F + f] += kRidge;
  const auto v = solve(gram, right, F, M);
  double sum = 0;
  for (std::size_t e = 0; e < K; ++e) {
    std::vector<double> p(M, 0.0);
    double squares = 0;
    for (std::size_t c = 0; c < M; ++c) {
      for (std::size_t f = 0; f < F; ++f) p[c] += feature(f, K + e) * v[f * M + c];
      squares += p[c] * p[c];
    }
    for (std::size_t c = 0; c < M; ++c) sum += std::pow(p[c] / std::sqrt(squares) - y_b[e * M + c], 2);
  }
  for (std::size_t i = 0; i < (F - 1) * M; ++i) sum += kRidge * v[i] * v[i];
  return sum / static_cast<double>(K);
}

template <class Real>
struct Result {
  Evaluation evaluation;
  EnginePhi<Real> d_phi;
};

template <class Real>
Result<Real> evaluate(InstructionSet set, const Data& data, const PlainPhi& phi, double factor,
                      std::int64_t shift) {
  Result<Real> result{{}, EnginePhi<Real>(phi, shift, true)};
  EnginePhi<Real> engine_phi(phi, shift);
  Shifted<Real> x(data.x, shift);
  MetaObjective<Real> objective(set, kRidge);
  std::vector<Real> workspace(
      static_cast<std::size_t>(objective.workspace_numbers(data.architecture, data.examples)));
  objective.prepare(data.architecture, data.examples, data.targets(), workspace.data());
  const LabelledPair<Real> pair{x.data(), data.y_a.data(), data.y_b.data()};
  const auto alone = objective.evaluate(engine_phi.pointers, pair, factor, nullptr);
  result.evaluation = objective.evaluate(engine_phi.pointers, pair, factor, &result.d_phi.pointers);
  CHECK(same_bits(std::vector<double>{alone.value}, {result.evaluation.value}));
  CHECK(alone.dead == result.evaluation.dead);
  CHECK(same_bits(x.values(), Shifted<Real>(data.x, shift).values()));
  return result;
}

std::vector<Data> problems(Nonlinearity kind) {
  std::vector<Data> all;
  all.emplace_back(Architecture{{7, 5, 6, 4}, kind}, 3, 3, 0);
  all.emplace_back(Architecture{{7, 9, 17}, kind}, 3, 4, 2);  // more features than examples
  all.emplace_back(Architecture{{5, 3}, kind}, 5, 5, 0);
  all.emplace_back(Architecture{{4, 1, 3}, kind}, 7, 3, 1);  // a layer of one unit
  all.emplace_back(Architecture{{6, 4, 1}, kind}, 3, 3, 0);  // one feature
  return all;
}

/// Every derivative, times `factor`, against central differences of the plain version.
void check_adjoint(InstructionSet set, const Data& data, double factor) {
  PlainPhi phi(data.architecture, 31);
  auto result = evaluate<double>(set, data, phi, factor, 0);
  REQUIRE_FALSE(result.evaluation.dead);
  CHECK(result.evaluation.value == Approx(plain_objective(data, phi)).epsilon(1e-11));

  double scale = 0.01 * factor, worst = 0;
  for (const double d : result.d_phi.values()) scale = std::max(scale, std::abs(d));
  for_tensors(phi, result.d_phi, [&](const std::string&, std::vector<double>& values, const auto& d) {
    for (std::size_t i = 0; i < values.size(); i += 1 + values.size() / 9) {
      const double before = values[i];
      const auto moved = [&](double step) {
        values[i] = before + step;
        const double objective = factor * plain_objective(data, phi);
        values[i] = before;
        return objective;
      };
      worst = std::max(worst, difference_error(moved, d[i], scale, 1e-7));
    }
  });
  CHECK(worst < 1e-7);
}

}  // namespace

TEST_CASE("the meta-objective and its adjoint agree with a plain version and its central differences") {
  for (const auto& name : available_instruction_sets())
    for (const auto kind : all_nonlinearities()) {
      for (const auto& data : problems(kind)) {
        // One unit after a step removes all information about the inputs: predictions are piecewise constant
        // and may be zero.
        if (kind == Nonlinearity::step && data.architecture.units[1] == 1) continue;
        INFO(name << ", " << data.architecture.description() << ", non-linearity " << static_cast<int>(kind));
        check_adjoint(find_instruction_set(name), data, 0.25);
      }
    }
}

TEST_CASE("the meta-objective in float32, and its bits wherever its tensors begin") {
  for (const auto& name : available_instruction_sets())
    for (const auto& data : problems(Nonlinearity::swish)) {
      INFO(name << ", " << data.architecture.description());
      const PlainPhi phi(data.architecture, 33);
      const auto set = find_instruction_set(name);
      auto wide = evaluate<double>(set, data, phi, 1.0, 0);
      auto first = evaluate<float>(set, data, phi, 1.0, 0);
      CHECK(first.evaluation.value == Approx(wide.evaluation.value).epsilon(1e-4));
      CHECK(largest_error(first.d_phi.values(), wide.d_phi.values()) < 1e-3);
      for (const std::int64_t shift : {1, 3}) {
        auto again = evaluate<float>(set, data, phi, 1.0, shift);
        CHECK(again.evaluation.value == first.evaluation.value);
        CHECK(same_bits(again.d_phi.values(), first.d_phi.values()));
      }
    }
}

TEST_CASE("targets are centred and scaled as one table") {
  const Data data(Architecture{{3, 4}, Nonlinearity::relu}, 2, 3, 2);
  CHECK(largest_error(data.y_a, plain_targets(data.a)) < 1e-14);
  double mean = 0, squares = 0;
  for (const double y : data.y_a) mean += y, squares += y * y;
  CHECK(std::abs(mean) < 1e-12);
  CHECK(squares == Approx(static_cast<double>(data.examples)));
}

TEST_CASE("features that are all zero are dead: no value, no gradient") {
  const Data data(Architecture{{3, 4, 2}, Nonlinearity::relu}, 3, 3, 0);
  PlainPhi phi(data.architecture, 35);
  phi.b[1] = {-100, -100};
  auto dead = evaluate<float>(find_instruction_set("auto"), data, phi, 1.0, 0);
  CHECK(dead.evaluation.dead);
  for (const float d : dead.d_phi.values()) CHECK(d == 0.0F);

  phi.b[1] = {-100, 0.5};  // one feature lives
  CHECK_FALSE(evaluate<float>(find_instruction_set("auto"), data, phi, 1.0, 0).evaluation.dead);

  phi.b[1] = {std::nan(""), 0.5};  // diverged features are not dead, and the value is NaN
  auto diverged = evaluate<float>(find_instruction_set("auto"), data, phi, 1.0, 0);
  CHECK_FALSE(diverged.evaluation.dead);
  CHECK_FALSE(std::isfinite(diverged.evaluation.value));
}

TEST_CASE("one plan serves one evaluation after the other, and gradients add up") {
  const Data data(Architecture{{5, 4, 3}, Nonlinearity::tanh}, 2, 4, 0);
  const PlainPhi phi(data.architecture, 37);
  EnginePhi<double> engine_phi(phi, 0), d_phi(phi, 0, true);
  Shifted<double> x(data.x, 0);
  MetaObjective<double> objective(find_instruction_set("auto"), kRidge);
  std::vector<double> workspace(
      static_cast<std::size_t>(objective.workspace_numbers(data.architecture, data.examples)), 1e300);
  objective.prepare(data.architecture, data.examples, data.targets(), workspace.data());
  const LabelledPair<double> pair{x.data(), data.y_a.data(), data.y_b.data()};
  objective.evaluate(engine_phi.pointers, pair, 1.0, &d_phi.pointers);
  const auto once = d_phi.values();
  std::fill(workspace.begin(), workspace.end(), std::nan(""));  // need not be preserved
  objective.evaluate(engine_phi.pointers, pair, 2.0, &d_phi.pointers);
  auto three_times = once;
  for (double& value : three_times) value *= 3;
  CHECK(largest_error(d_phi.values(), three_times) < 1e-13);
}

}  // namespace outerloop::tests
