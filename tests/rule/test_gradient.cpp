// The meta-gradient against central differences in float64, both rules.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tests/catch.h"
#include "tests/rule/problem.h"

namespace outerloop::tests {
namespace {

/// The largest error of a problem.
struct Worst {
  double error = 0.0;
  std::string where = "nowhere";
};

/// First, middle and last entry of a tensor.
std::vector<std::int64_t> chosen_entries(const rule::TensorSpec& tensor) {
  std::vector<std::int64_t> entries = {0, tensor.size() / 2, tensor.size() - 1};
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  return entries;
}

/// ∂J/∂θ[at] by a central difference.
double difference_quotient(rule::Engine& engine, const Problem& problem, std::size_t at, double step) {
  auto theta = problem.theta;
  theta[at] = problem.theta[at] + step;
  const double above = mean_objective(engine, problem, theta);
  theta[at] = problem.theta[at] - step;
  return (above - mean_objective(engine, problem, theta)) / (2 * step);
}

/// The error of one entry. A long step loses the fewest digits but may cross a kink, where a relu changes
/// sides; then a shorter one decides. A gradient that is wrong is wrong at every step.
double entry_error(rule::Engine& engine, const Problem& problem, std::size_t at, double gradient,
                   double scale) {
  double error = 1.0;
  for (const double step : {1e-5, 1e-6, 1e-7}) {
    error = std::min(error, std::abs(difference_quotient(engine, problem, at, step) - gradient) / scale);
    if (error < 1e-6) break;
  }
  return error;
}

/// Errors are relative to the largest gradient of the tensor, or to a thousandth of the overall largest if
/// that is more: differences of J have rounding noise in proportion to J.
Worst compare_with_differences(const std::string& name, const Problem& problem) {
  const auto engine = engine_under_test(problem.rule);
  const auto result = engine->truncation(problem.architecture, problem.theta, problem.phi, problem.steps);
  INFO(name);
  REQUIRE(result.outcome == rule::Outcome::finished);
  CHECK(mean_objective(*engine, problem, problem.theta) == Approx(result.mean_meta_objective).epsilon(1e-12));

  double top = 0.0;
  for (const double g : result.d_theta) top = std::max(top, std::abs(g));
  REQUIRE(top > 0.0);
  Worst worst;
  for (const auto& tensor : engine->theta_layout().tensors()) {
    double scale = 1e-3 * top;
    for (std::int64_t i = 0; i < tensor.size(); ++i)
      scale = std::max(scale, std::abs(result.d_theta[static_cast<std::size_t>(tensor.offset + i)]));
    for (const auto i : chosen_entries(tensor)) {
      const auto at = static_cast<std::size_t>(tensor.offset + i);
      const double error = entry_error(*engine, problem, at, result.d_theta[at], scale);
      if (error > worst.error) worst = {error, tensor.name + "[" + std::to_string(i) + "]"};
    }
  }
  std::printf("%-36s largest gradient %.2e, largest error %.2e at %s\n", name.c_str(), top, worst.error,
              worst.where.c_str());
  return worst;
}

// J of about 2 has 16 digits: its difference over 2e-5 is exact to about 1e-10, and the smallest scale is
// about 4e-5.
constexpr double kTolerance = 1e-5;

void check_problem(const std::string& name, const Problem& problem) {
  const Worst worst = compare_with_differences(name, problem);
  INFO(name << ": largest error at " << worst.where);
  CHECK(worst.error < kTolerance);
}

}  // namespace

TEST_CASE("meta-gradient of the neuron-local rule by central differences") {
  auto options = small_neuron_local();
  ProblemSize size;
  check_problem("three layers, H = 1, P = 2", make_problem(options, size));

  size.way = 4;
  size.regression = 2;
  size.steps = 3;
  check_problem("regression targets, 4 classes, k = 3", make_problem(options, size));

  options.neuron_local.separate_backward_readouts = true;
  size.way = 5;
  size.regression = 0;
  size.steps = 2;
  check_problem("separate backward readouts", make_problem(options, size));
}

TEST_CASE("meta-gradient at the edges of the rule's sizes") {
  auto options = small_neuron_local();
  ProblemSize size;
  options.neuron_local.hidden_blocks = 0;
  options.neuron_local.top_layers = 0;
  check_problem("H = 0, P = 0", make_problem(options, size));

  options.neuron_local.hidden_blocks = 2;
  options.neuron_local.top_layers = 3;
  size.units = {6, 4};
  check_problem("one layer, H = 2, P = 3", make_problem(options, size));

  options = small_neuron_local();
  options.neuron_local.hidden_channels = 1;
  options.neuron_local.top_channels = 1;
  options.neuron_local.delta_channels = 1;
  options.neuron_local.readout_channels = 1;
  size.units = {4, 3, 5};
  size.batch = 2;
  check_problem("one channel everywhere, B = 2", make_problem(options, size));

  options = small_neuron_local();
  size.units = {3, 1, 4};
  size.batch = 3;
  check_problem("a layer of one unit, B = 3", make_problem(options, size));
}

TEST_CASE("meta-gradient through other non-linearities") {
  for (const auto kind : {rule::Nonlinearity::leaky_relu, rule::Nonlinearity::swish, rule::Nonlinearity::elu,
                          rule::Nonlinearity::tanh}) {
    auto problem = make_problem(small_neuron_local(), ProblemSize{});
    problem.architecture.nonlinearity = kind;
    check_problem("non-linearity " + std::to_string(static_cast<int>(kind)), problem);
  }
}

TEST_CASE("meta-gradient of learning rate and momentum by central differences") {
  ProblemSize size;
  size.batch = 8;
  size.steps = 4;
  check_problem("sgd, three layers, k = 4", make_problem(supervised_sgd(), size));

  size.units = {7, 9, 6};
  size.way = 5;
  size.steps = 6;
  check_problem("sgd, more outputs than classes", make_problem(supervised_sgd(), size));

  size.units = {5, 3};
  size.way = 3;
  check_problem("sgd, one linear layer", make_problem(supervised_sgd(), size));
}

}  // namespace outerloop::tests
