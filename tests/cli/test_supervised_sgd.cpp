// The second rule, through the same engine interface, coordinator and files: from a learning rate of 1e-6
// meta-training must find one at which the inner loss after a task's steps is at least five times lower.
#include <cmath>
#include <cstdio>

#include "common/config/settings.h"
#include "common/data/task.h"
#include "common/rule/engine.h"
#include "common/rule/engines/make_engine.h"
#include "common/store/files.h"
#include "tests/catch.h"
#include "tests/cli/run_command.h"

using namespace outerloop;

namespace {

constexpr std::uint32_t kFirstNewStream = 1000;  // far from the streams that were trained on
constexpr int kTasks = 30;

/// Mean cross-entropy on the next minibatch after all inner steps of each of thirty new tasks.
double loss_after_steps(rule::Engine& engine, const data::TaskDistribution& tasks,
                        const std::vector<double>& theta) {
  double total = 0.0;
  for (std::uint32_t i = 0; i < kTasks; ++i) {
    const auto task = tasks.sample(kFirstNewStream + i, 0);
    std::vector<rule::Batch> minibatches;
    for (std::int64_t step = 0; step < task.inner_steps; ++step)
      minibatches.push_back(tasks.step_data(task, step).inner);
    const auto layout = rule::phi_layout(engine.rule(), task.architecture);
    const auto phi = engine.unroll(task.architecture, theta,
                                   rule::initial_phi(layout, 1, kFirstNewStream + i, 0), minibatches);
    rule::StepData judge;
    judge.b = tasks.step_data(task, task.inner_steps).inner;
    total += engine.meta_objective(task.architecture, theta, phi, judge);
  }
  return total / kTasks;
}

}  // namespace

TEST_CASE(
    "meta-training finds a learning rate that makes the inner loss five times lower, at 1 and 3 ranks") {
  for (const int ranks : {1, 3}) {
    const tests::TemporaryFolder folder;
    const std::string run = folder / "run";
    const auto finished = tests::run_on_ranks(ranks, "train supervised_sgd --run-dir " + run);
    INFO(finished.err);
    REQUIRE(tests::read_json(run + "/result.json").at("stop_reason") == "updates");
    const auto file = store::read_rule(run + "/rule.h5");
    REQUIRE(file.rule == "supervised_sgd");
    const auto settings = config::settings_from_text(file.config, "rule.h5", {});
    const auto engine = rule::make_engine(settings.rule, settings.engine);
    const data::TaskDistribution tasks(
        settings.tasks,
        {{data::open_dataset(settings.training.at(0).request, data::default_cache_directory()), 1.0}}, 1);
    const auto start = rule::initial_theta(file.layout, 0);
    CHECK(start[0] == Approx(std::log(1e-6)));
    const double before = loss_after_steps(*engine, tasks, start);
    const double after = loss_after_steps(*engine, tasks, file.theta);
    std::printf("%d ranks: inner loss %.4f -> %.4f, learning rates exp(%.2f) and exp(%.2f)\n", ranks, before,
                after, file.theta[0], file.theta[2]);
    CHECK(before > 1.5);  // a learning rate of 1e-6 learns nothing: chance is log(5) = 1.61
    CHECK(after < before / 5.0);
  }
}
