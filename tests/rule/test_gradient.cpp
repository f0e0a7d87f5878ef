// The meta-gradient against central differences in float64, both rules.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <utility>

#include "tests/catch.h"
#include "tests/rule/problem.h"

namespace outerloop::tests {
namespace {

void check_problem(const std::string& name, const Problem& problem) {
  const auto engine = engine_under_test(problem.rule);
  const rule::DifferenceOptions options;
  const auto check = rule::check_gradient(*engine, problem, options);
  INFO(name);
  REQUIRE(check.outcome == rule::Outcome::finished);
  CHECK(check.forward_objective == Approx(check.objective).epsilon(1e-12));
  REQUIRE(check.largest > 0.0);
  const auto& worst = check.worst();
  std::printf("%-36s largest gradient %.2e, largest error %.2e at %s, %s\n", name.c_str(), check.largest,
              worst.difference, worst.tensor.c_str(), worst.place.c_str());
  CHECK(check.tensors.size() == engine->theta_layout().tensors().size());
  CHECK(worst.difference < options.tolerance);
}

/// An engine with a gradient that is off by `error` at one number of θ.
class WrongEngine final : public rule::Engine {
 public:
  WrongEngine(std::unique_ptr<rule::Engine> right, std::size_t at, double error)
      : right_(std::move(right)), at_(at), error_(error) {}

  const rule::RuleOptions& rule() const override { return right_->rule(); }
  const rule::Layout& theta_layout() const override { return right_->theta_layout(); }
  std::string description() const override { return right_->description(); }
  std::string instruction_set() const override { return right_->instruction_set(); }
  rule::TruncationResult truncation(const rule::Architecture& architecture, const std::vector<double>& theta,
                                    const std::vector<double>& phi,
                                    const std::vector<rule::StepData>& steps) override {
    auto result = right_->truncation(architecture, theta, phi, steps);
    result.d_theta.at(at_) += error_;
    return result;
  }
  std::vector<double> unroll(const rule::Architecture& architecture, const std::vector<double>& theta,
                             const std::vector<double>& phi,
                             const std::vector<rule::Batch>& minibatches) override {
    return right_->unroll(architecture, theta, phi, minibatches);
  }
  double meta_objective(const rule::Architecture& architecture, const std::vector<double>& theta,
                        const std::vector<double>& phi, const rule::StepData& step) override {
    return right_->meta_objective(architecture, theta, phi, step);
  }

 private:
  std::unique_ptr<rule::Engine> right_;
  std::size_t at_;
  double error_;
};

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

TEST_CASE("a wrong gradient is found wherever in its tensor it is") {
  auto small = small_neuron_local();
  small.neuron_local.hidden_blocks = small.neuron_local.top_layers = 0;
  ProblemSize size;
  size.units = {6, 4};
  size.steps = 1;
  const auto problem = make_problem(small, size);
  const rule::DifferenceOptions options;
  const auto layout = rule::theta_layout(problem.rule);
  const auto& tensor = layout.at("hidden.in.w");
  REQUIRE(tensor.size() > 8);
  const auto right = engine_under_test(problem.rule)
                         ->truncation(problem.architecture, problem.theta, problem.phi, problem.steps);
  double largest = 0.0;
  for (const double g : right.d_theta) largest = std::max(largest, std::abs(g));
  // The first number is compared by itself, the third only in the direction of all.
  for (const std::int64_t place : {0, 2}) {
    WrongEngine engine(engine_under_test(problem.rule), static_cast<std::size_t>(tensor.offset + place),
                       1e-2 * largest);
    const auto check = rule::check_gradient(engine, problem, options);
    CHECK(check.worst().tensor == "hidden.in.w");
    CHECK(check.worst().place == (place == 0 ? "[0]" : "all"));
    CHECK(check.worst().difference > 10 * options.tolerance);
    for (const auto& other : check.tensors)
      CHECK((other.difference < options.tolerance) == (other.tensor != "hidden.in.w"));
  }
}

}  // namespace outerloop::tests
