// The study of rules that train on labels, on tasks of two moons that seconds are enough for.
#include <cmath>

#include "common/data/dataset.h"
#include "common/evaluation/supervised_study.h"
#include "common/rule/engines/make_engine.h"
#include "common/rule/theta.h"
#include "tests/catch.h"

using namespace outerloop;

namespace {

rule::RuleOptions sgd_rule() {
  rule::RuleOptions rule;
  rule.name = "supervised_sgd";
  rule.supervised_sgd.initial_learning_rate = 1e-6;
  rule.supervised_sgd.initial_momentum = 0.5;
  return rule;
}

rule::EngineOptions engine_options() {
  rule::EngineOptions options;
  options.kind = rule::EngineKind::fused;
  options.precision = rule::Precision::float32;
  options.device = "cpu";
  options.instruction_set = "auto";
  options.threads = 1;
  return options;
}

data::TaskDistribution table_tasks() {
  data::TaskOptions options;
  options.sizes = {16, {1, 1}, {12, 12}, {8, 8}};
  options.way = {3, 3};
  options.subclasses = {1, 1};
  options.labelled_per_class = 5;
  return data::TaskDistribution(options, {{data::open_dataset({"tables", "", 14, {}, {}}, ""), 1.0}}, 3);
}

/// θ of SGD with a learning rate that learns, in all layers.
evaluation::RuleUnderTest learned(double learning_rate) {
  const auto rule = sgd_rule();
  evaluation::RuleUnderTest under_test;
  under_test.make_engine = [rule] { return rule::make_engine(rule, engine_options()); };
  const auto layout = rule::theta_layout(rule);
  under_test.untrained = rule::initial_theta(layout, 0);
  under_test.theta = under_test.untrained;
  for (const auto& tensor : layout.tensors())
    if (tensor.name.find("log_learning_rate") != std::string::npos)
      under_test.theta[static_cast<std::size_t>(tensor.offset)] = std::log(learning_rate);
  return under_test;
}

}  // namespace

TEST_CASE("steps of a supervised study hold the horizon, four and ten times it") {
  using Steps = std::vector<std::int64_t>;
  CHECK(evaluation::supervised_steps(20) == Steps{1, 2, 5, 10, 20, 50, 80, 100, 200});
  CHECK(evaluation::supervised_steps(1) == Steps{1, 2, 4, 5, 10});
}

TEST_CASE("a supervised rule is judged beside tuned optimizers, the same with any number of threads") {
  const auto tasks = table_tasks();
  evaluation::SupervisedOptions options;
  options.horizon = 8;
  options.tasks = 6;
  options.tuning_tasks = 3;
  std::int64_t last = 0, total = 0;
  const auto progress = [&](std::int64_t done, std::int64_t of) {
    last = done;
    total = of;
  };
  const auto curves = evaluation::evaluate_supervised(learned(0.1), tasks, options, progress);
  CHECK(last == total);
  CHECK(total == 3 * 27 + 6 * 5);
  std::vector<std::string> methods;
  for (const auto& curve : curves) {
    methods.push_back(curve.method);
    REQUIRE(curve.points.size() == evaluation::supervised_steps(8).size());
    CHECK(curve.points.back().steps == 80);
    const bool own = curve.method == "rule" || curve.method == "untrained";
    CHECK((curve.learning_rate == 0.0) == own);
  }
  CHECK(methods == std::vector<std::string>{"rule", "untrained", "sgd", "momentum", "adam"});
  const auto loss = [&](std::size_t method, std::size_t point) {
    return curves[method].points.at(point).loss.mean;
  };
  const std::size_t end = curves[0].points.size() - 1;
  // A learning rate of 1e-6 learns nothing; the others do, and all have begun from the same φ.
  CHECK(loss(1, end) == Approx(loss(1, 0)).epsilon(0.01));
  for (const std::size_t method : {0, 2, 3, 4}) {
    INFO(methods[method]);
    CHECK(loss(method, end) < 0.8 * loss(1, end));
    CHECK(curves[method].points[end].accuracy.mean > curves[1].points[end].accuracy.mean + 0.1);
    CHECK(curves[method].points[end].accuracy.mean <= 1.0);
  }
  options.threads = 3;
  const auto again = evaluation::evaluate_supervised(learned(0.1), tasks, options, progress);
  for (std::size_t m = 0; m < curves.size(); ++m) {
    CHECK(again[m].learning_rate == curves[m].learning_rate);
    CHECK(again[m].points[end].loss.mean == curves[m].points[end].loss.mean);
  }
}

TEST_CASE("a method that diverges is no number, and is not chosen") {
  evaluation::SupervisedOptions options;
  options.horizon = 4;
  options.tasks = 2;
  options.tuning_tasks = 1;
  const auto curves = evaluation::evaluate_supervised(learned(1e30), table_tasks(), options,
                                                      [](std::int64_t, std::int64_t) {});
  CHECK(std::isnan(curves[0].points.back().loss.mean));
  CHECK(std::isnan(curves[0].points.back().accuracy.mean));
  for (std::size_t m = 2; m < curves.size(); ++m) CHECK(std::isfinite(curves[m].points[2].loss.mean));
}
