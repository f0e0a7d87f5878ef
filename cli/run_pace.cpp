#include "cli/run_pace.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/net/transport.h"
#include "common/rule/estimator.h"
#include "common/rule/phi.h"
#include "common/rule/theta.h"
#include "worker/pulse.h"

namespace outerloop::cli {
namespace {

/// What the time of a truncation goes by, apart from its length.
double work_of(const data::Task& task) {
  const auto& units = task.architecture.units;
  return static_cast<double>(task.minibatch * std::accumulate(units.begin(), units.end(), std::int64_t{0}));
}

struct TypicalTask {
  std::uint32_t number = 0;       ///< of this rank's tasks
  double inner_steps = 0.0;       ///< of a mean task
  double truncation_steps = 0.0;  ///< of a mean truncation
  double work = 0.0;              ///< of a mean inner step
};

/// The one among many tasks, as they will come, whose work is nearest to their mean.
TypicalTask typical_task(const data::TaskDistribution& tasks, const proto::Config& config,
                         std::uint32_t stream) {
  constexpr std::uint32_t kTasks = 256;
  const auto& unroll = config.unroll();
  const double length = 0.5 * static_cast<double>(unroll.min_steps() + unroll.max_steps());
  TypicalTask typical;
  std::vector<double> work;
  for (std::uint32_t i = 0; i < kTasks; ++i) {
    const auto task = tasks.sample(stream, i);
    work.push_back(work_of(task));
    typical.work += work.back() / kTasks;
    typical.inner_steps += static_cast<double>(task.inner_steps) / kTasks;
    typical.truncation_steps += std::min(length, static_cast<double>(task.inner_steps)) / kTasks;
  }
  for (std::uint32_t i = 1; i < kTasks; ++i)
    if (std::abs(work[i] - typical.work) < std::abs(work[typical.number] - typical.work)) typical.number = i;
  return typical;
}

}  // namespace

double measure_pace(rule::Engine& engine, const data::TaskDistribution& tasks,
                    const config::Settings& settings, int rank) {
  constexpr int kFewest = 2;
  constexpr double kLong = 0.1, kLongest = 5.0;  // seconds
  const auto seed = settings.config.seed();
  const auto stream = static_cast<std::uint32_t>(rank);
  const TypicalTask typical = typical_task(tasks, settings.config, stream);
  const auto theta = rule::initial_theta(engine.rule(), seed);
  const net::SteadyClock clock;
  const double beginning = clock.now();
  const auto task = tasks.sample(stream, typical.number);
  const auto phi = engine.initial_phi(task.architecture, seed, stream, typical.number);
  const double once = clock.now() - beginning;
  const auto truncation = [&](std::int64_t length) {
    const double start = clock.now();
    std::vector<rule::StepData> steps;
    for (std::int64_t step = 0; step < length; ++step) steps.push_back(tasks.step_data(task, step));
    std::vector<rule::PerturbedPair> pairs;
    const rule::Random random(seed, stream, typical.number, rule::Purpose::perturbation);
    rule::estimate_gradient(engine, settings.estimator, {task.architecture, theta, phi, steps, random, 0},
                            pairs);
    return clock.now() - start;
  };
  double one = 0.0, three = 0.0;
  int pairs = 0;
  try {
    truncation(3);  // the engine makes room
    for (; one + three < (pairs < kFewest ? kLongest : kLong); ++pairs) {
      one += truncation(1);
      three += truncation(3);
    }
  } catch (const worker::Interrupted&) {  // the run is about to end: nobody needs to know well
    return 1.0 / (clock.now() - beginning);
  }
  one /= pairs;
  three /= pairs;
  const double step = std::max(three - one, 0.0) / 2.0;
  const double seconds = one + (typical.truncation_steps - 1.0) * step;
  const double share = typical.truncation_steps / typical.inner_steps;  // of a task's beginning
  return 1.0 / (seconds * typical.work / work_of(task) + once * share);
}

double pace_with_checkpoints(double gradients_per_second, const proto::Config& config,
                             double checkpoint_seconds) {
  if (config.checkpoint().every_updates() <= 0) return gradients_per_second;
  const auto gradients = static_cast<double>(config.checkpoint().every_updates() * config.batch());
  return gradients / (gradients / gradients_per_second + checkpoint_seconds);
}

}  // namespace outerloop::cli
