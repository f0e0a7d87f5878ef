// The deterministic mode's result by its definition: no messages, no workers, no faults.
#include <cmath>

#include "common/rule/theta.h"
#include "tests/simulation/job.h"
#include "tests/simulation/plain_step_back.h"

namespace outerloop::simulation {
namespace {

double norm(const std::vector<double>& values) {
  double squares = 0.0;
  for (const double value : values) squares += value * value;
  return std::sqrt(squares);
}

}  // namespace

std::vector<double> plain_loop(const Scenario& scenario) {
  const auto& o = scenario.options;
  Engine engine(scenario.parameters);
  const auto tasks = tests::toy_tasks(scenario.seed);
  auto theta = rule::initial_theta(engine.theta_layout(), scenario.seed);
  coordinator::Adam adam(o.adam, theta.size());
  PlainStepBack step_back(o.step_back, {}, o.group);
  std::vector<worker::Stream> streams;
  for (std::int64_t i = 0; i < o.streams; ++i) {
    store::StreamState state;
    state.stream = static_cast<std::uint32_t>(i);
    streams.emplace_back(scenario.context(engine, tasks), state);
  }
  for (std::int64_t update = 0; update < o.updates; ++update) {
    std::vector<double> mean(theta.size());
    for (auto& stream : streams) {
      const auto step = stream.advance(theta, update);
      std::vector<double> sum(theta.size());
      std::int64_t counted = 0;
      for (const auto& [task, dataset, result, size, too_long] : step.lanes) {
        if (result.outcome != rule::Outcome::finished || norm(result.d_theta) > o.reject_norm) continue;
        ++counted;
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += result.d_theta[i];
        step_back.add(result.mean_meta_objective);
      }
      // Of several lanes, and after an outcome that is no gradient, it has gone on by itself.
      if (counted == 0 && stream.state().task == step.task) stream.begin_next_task();
      for (std::size_t i = 0; i < mean.size(); ++i)
        mean[i] += static_cast<double>(static_cast<float>(sum[i] / static_cast<double>(o.group)));
    }
    for (auto& value : mean) value /= static_cast<double>(o.batch);
    const double size = norm(mean);
    if (o.batch_norm_clip > 0.0 && size > o.batch_norm_clip)
      for (auto& value : mean) value *= o.batch_norm_clip / size;
    adam.update(theta, mean);
    if (const auto back = step_back.after({update + 1, theta, {}, adam.m(), adam.v()})) {
      theta = back->theta;
      adam.restore(back->adam_m, back->adam_v, adam.step());
      adam.set_factor(step_back.factor());
    }
  }
  return theta;
}

}  // namespace outerloop::simulation
