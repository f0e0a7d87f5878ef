// The base model on plain arrays against the reference engine's, and with different chunk sizes.
#include <algorithm>
#include <cmath>

#include "common/base/error.h"
#include "common/rule/base_model.h"
#include "common/rule/random.h"
#include "common/rule/reference/forward.h"
#include "common/rule/reference/transfer.h"
#include "tests/catch.h"
#include "tests/rule_options.h"

namespace outerloop::tests {
namespace {

using rule::Matrix;

Matrix random_inputs(std::int64_t rows, std::int64_t columns) {
  const rule::Random random(5, 0, 0, rule::Purpose::test);
  Matrix m(rows, columns);
  for (std::size_t i = 0; i < m.values.size(); ++i)
    m.values[i] = static_cast<float>(random.uniform(static_cast<std::uint32_t>(i)));
  return m;
}

at::Tensor tensor(const rule::Layout& layout, const std::string& name, std::vector<double>& values) {
  const auto& spec = layout.at(name);
  return at::from_blob(values.data() + spec.offset, spec.shape, at::TensorOptions(at::kDouble))
      .clone()
      .unsqueeze(0);
}

/// x^l of the reference engine in float64, [examples, N_l].
at::Tensor reference_activation(const rule::RuleOptions& options, const rule::Architecture& architecture,
                                std::vector<double> phi, const Matrix& inputs, std::int64_t l) {
  const auto layout = rule::phi_layout(options, architecture);
  rule::reference::Phi tensors;
  for (std::int64_t i = 1; i <= l; ++i) {
    tensors.W.push_back(tensor(layout, std::to_string(i) + "/W", phi));
    tensors.b.push_back(tensor(layout, std::to_string(i) + "/b", phi));
  }
  auto* values = const_cast<float*>(inputs.values.data());
  const at::Tensor x = at::from_blob(values, {inputs.rows, inputs.columns}, at::TensorOptions(at::kFloat));
  const auto result =
      rule::reference::forward(tensors, x.to(at::kDouble).t().unsqueeze(0), architecture.nonlinearity);
  return result.x.back().squeeze(0).t().contiguous();
}

double largest_difference(const Matrix& ours, const at::Tensor& theirs) {
  REQUIRE(ours.rows == theirs.size(0));
  REQUIRE(ours.columns == theirs.size(1));
  const double* expected = theirs.data_ptr<double>();
  double worst = 0;
  for (std::size_t i = 0; i < ours.values.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(ours.values[i]) - expected[i]));
  return worst;
}

}  // namespace

TEST_CASE("features with the batch's own statistics are the engine's x^L") {
  const auto options = paper_rule();
  // 3,000 examples of up to 600 units take several chunks.
  for (const auto rows : {std::int64_t{2}, std::int64_t{37}, std::int64_t{3000}}) {
    const auto inputs = random_inputs(rows, 19);
    for (int kind = 0; kind <= static_cast<int>(rule::Nonlinearity::tanh); ++kind) {
      rule::Architecture architecture{{19, 600, 13, 8}, static_cast<rule::Nonlinearity>(kind)};
      const auto phi = rule::initial_phi(rule::phi_layout(options, architecture), 1, 0, 0);
      const auto statistics = rule::frozen_statistics(options, architecture, phi, inputs);
      const auto ours = rule::features(options, architecture, phi, statistics, inputs);
      const auto theirs = reference_activation(options, architecture, phi, inputs, 3);
      INFO(rows << " examples, non-linearity " << kind);
      // Two examples differ by 2 sigma in every unit, so tiny differences of a layer grow.
      CHECK(largest_difference(ours, theirs) < 2e-4);
    }
  }
}

TEST_CASE("the step non-linearity gives zeros and ones") {
  const auto options = paper_rule();
  const rule::Architecture architecture{{19, 5}, rule::Nonlinearity::step};
  const auto phi = rule::initial_phi(rule::phi_layout(options, architecture), 1, 0, 0);
  const auto inputs = random_inputs(50, 19);
  const auto features = rule::features(options, architecture, phi,
                                       rule::frozen_statistics(options, architecture, phi, inputs), inputs);
  const auto ones = std::count(features.values.begin(), features.values.end(), 1.0f);
  CHECK(ones > 0);
  CHECK(ones + std::count(features.values.begin(), features.values.end(), 0.0f) == 250);
}

TEST_CASE("frozen statistics make every example's features independent of the others") {
  const auto options = paper_rule();
  const rule::Architecture architecture{{19, 24, 8}, rule::Nonlinearity::relu};
  const auto phi = rule::initial_phi(rule::phi_layout(options, architecture), 1, 0, 0);
  const auto inputs = random_inputs(9000, 19);
  const auto statistics = rule::frozen_statistics(options, architecture, phi, inputs);
  REQUIRE(statistics.mean.size() == 2);
  REQUIRE(statistics.standard_deviation[1].size() == 8);
  const auto all = rule::features(options, architecture, phi, statistics, inputs);
  for (const std::int64_t row : {0, 4095, 4096, 8999}) {
    Matrix one(1, 19);
    std::copy_n(inputs.row(row), 19, one.row(0));
    const auto alone = rule::features(options, architecture, phi, statistics, one);
    for (std::int64_t j = 0; j < 8; ++j) CHECK(alone.row(0)[j] == Approx(all.row(row)[j]).margin(1e-5));
  }
}

TEST_CASE("statistics of a far-off input keep their digits") {
  const auto options = paper_rule();
  const rule::Architecture architecture{{1, 1}, rule::Nonlinearity::relu};
  const std::vector<double> phi = {1.0, 0.0, 1.0};  // W, b, V
  Matrix inputs(10000, 1);
  for (std::int64_t i = 0; i < inputs.rows; ++i)
    inputs.row(i)[0] = 1000.0f + static_cast<float>(i % 2) * 0.5f;
  const auto statistics = rule::frozen_statistics(options, architecture, phi, inputs);
  CHECK(statistics.mean[0][0] == Approx(1000.25).epsilon(1e-12));
  CHECK(statistics.standard_deviation[0][0] == Approx(std::sqrt(0.0625 + 1e-6)).epsilon(1e-9));
}

TEST_CASE("features of supervised_sgd are those below its class scores") {
  const auto options = paper_rule("supervised_sgd");
  const rule::Architecture architecture{{19, 24, 11, 5}, rule::Nonlinearity::relu};
  const auto phi = rule::initial_phi(rule::phi_layout(options, architecture), 1, 0, 0);
  const auto inputs = random_inputs(40, 19);
  const auto statistics = rule::frozen_statistics(options, architecture, phi, inputs);
  CHECK(statistics.mean.size() == 2);
  const auto features = rule::features(options, architecture, phi, statistics, inputs);
  CHECK(largest_difference(features, reference_activation(options, architecture, phi, inputs, 2)) < 1e-4);

  const rule::Architecture linear{{19, 5}, rule::Nonlinearity::relu};
  const auto raw = rule::initial_phi(rule::phi_layout(options, linear), 1, 0, 0);
  CHECK(rule::features(options, linear, raw, {}, inputs).values == inputs.values);
}

TEST_CASE("sizes that do not fit a base model are errors") {
  const auto options = paper_rule();
  const rule::Architecture architecture{{19, 24, 8}, rule::Nonlinearity::relu};
  auto phi = rule::initial_phi(rule::phi_layout(options, architecture), 1, 0, 0);
  const auto inputs = random_inputs(10, 19);
  const auto statistics = rule::frozen_statistics(options, architecture, phi, inputs);
  CHECK_THROWS_AS(rule::frozen_statistics(options, architecture, phi, random_inputs(10, 18)), Error);
  CHECK_THROWS_AS(rule::frozen_statistics(options, architecture, phi, Matrix(0, 19)), Error);
  CHECK_THROWS_AS(rule::features(options, architecture, phi, {}, inputs), Error);
  auto narrow = statistics;
  narrow.mean[1].pop_back();
  CHECK_THROWS_AS(rule::features(options, architecture, phi, narrow, inputs), Error);
  phi.pop_back();
  CHECK_THROWS_AS(rule::features(options, architecture, phi, statistics, inputs), Error);
}

TEST_CASE("what goes to a GPU is copied from pinned memory, and nothing else asks for it") {
  for (const auto type : {at::kFloat, at::kDouble}) {
    const auto staging = [type](at::DeviceType device) {
      return rule::reference::staging_options(at::TensorOptions(type).device(device));
    };
    CHECK(staging(at::kCUDA).pinned_memory());
    for (const auto device : {at::kCPU, at::kMeta}) CHECK_FALSE(staging(device).pinned_memory());
    for (const auto device : {at::kCUDA, at::kCPU, at::kMeta}) {
      CHECK(staging(device).device() == at::Device(at::kCPU));
      CHECK(staging(device).dtype() == type);
    }
  }
}

}  // namespace outerloop::tests
