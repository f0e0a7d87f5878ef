#include "cli/run_pace.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/net/transport.h"
#include "common/rule/estimator.h"
#include "common/rule/phi.h"
#include "common/rule/theta.h"
#include "common/store/stream_message.h"
#include "worker/pulse.h"

namespace outerloop::cli {
namespace {

/// Measure of a truncation's cost, apart from its length.
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

/// The task whose work is closest to the mean over many future tasks.
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

/// Tasks side by side, as a stream has them, at their beginning.
class LaneTasks {
 public:
  /// `stream`: the number of the first lane.
  LaneTasks(rule::Engine& engine, const data::TaskDistribution& tasks, const config::Settings& settings,
            std::uint32_t stream, std::uint32_t number)
      : distribution_(tasks), settings_(settings) {
    const std::int64_t group = settings.config.tasks().group();
    const data::Round round = tasks.round(stream, number);
    for (std::int64_t l = 0; l < group; ++l) {
      const auto own = stream + static_cast<std::uint32_t>(l);
      tasks_.push_back(group == 1 ? tasks.sample(own, number) : tasks.sample(round, own, number));
      phi_.push_back(engine.initial_phi(tasks_.back().architecture, settings.config.seed(), own, number));
    }
  }

  const data::Task& first() const { return tasks_.front(); }

  void truncate(rule::Engine& engine, const std::vector<double>& theta, std::int64_t length) const {
    std::vector<std::vector<rule::StepData>> steps(tasks_.size());
    std::vector<rule::TruncationInput> inputs;
    for (std::size_t l = 0; l < tasks_.size(); ++l) {
      const data::Task& task = tasks_[l];
      for (std::int64_t step = 0; step < length; ++step)
        steps[l].push_back(distribution_.step_data(task, step));
      const rule::Random random(settings_.config.seed(), task.stream, task.index,
                                rule::Purpose::perturbation);
      inputs.push_back({task.architecture, theta, phi_[l], steps[l], random, 0});
    }
    std::vector<std::vector<rule::PerturbedPair>> pairs(tasks_.size());
    rule::estimate_gradients(engine, settings_.estimator, inputs, pairs);
  }

 private:
  const data::TaskDistribution& distribution_;
  const config::Settings& settings_;
  std::vector<data::Task> tasks_;
  std::vector<std::vector<double>> phi_;  ///< [lanes]
};

}  // namespace

double measure_pace(rule::Engine& engine, const data::TaskDistribution& tasks,
                    const config::Settings& settings, int rank) {
  constexpr int kFewest = 2;
  constexpr double kLong = 0.1, kLongest = 5.0;  // seconds
  const auto seed = settings.config.seed();
  const auto group = static_cast<std::size_t>(settings.config.tasks().group());
  const auto first = store::lane_stream(static_cast<std::uint32_t>(rank), group, 0);
  const TypicalTask typical = typical_task(tasks, settings.config, first);
  const auto theta = rule::initial_theta(engine.rule(), seed);
  const net::SteadyClock clock;
  const double beginning = clock.now();
  const LaneTasks lanes(engine, tasks, settings, first, typical.number);
  const double once = clock.now() - beginning;
  const auto truncation = [&](std::int64_t length) {
    const double start = clock.now();
    lanes.truncate(engine, theta, length);
    return clock.now() - start;
  };
  double one = 0.0, three = 0.0;
  int pairs = 0;
  try {
    truncation(3);  // lets the engine allocate its memory
    for (; one + three < (pairs < kFewest ? kLongest : kLong); ++pairs) {
      one += truncation(1);
      three += truncation(3);
    }
  } catch (const worker::Interrupted&) {  // the run is about to end: a rough estimate suffices
    return static_cast<double>(group) / (clock.now() - beginning);
  }
  one /= pairs;
  three /= pairs;
  const double step = std::max(three - one, 0.0) / 2.0;
  const double seconds = one + (typical.truncation_steps - 1.0) * step;
  const double share = typical.truncation_steps / typical.inner_steps;  // of the cost of beginning a task
  return static_cast<double>(group) / (seconds * typical.work / work_of(lanes.first()) + once * share);
}

std::int64_t gradients_per_update(const proto::Config& config) {
  return config.batch() * config.tasks().group();
}

double pace_with_checkpoints(double gradients_per_second, const proto::Config& config,
                             double checkpoint_seconds) {
  if (config.checkpoint().every_updates() <= 0) return gradients_per_second;
  const auto gradients =
      static_cast<double>(config.checkpoint().every_updates() * gradients_per_update(config));
  return gradients / (gradients / gradients_per_second + checkpoint_seconds);
}

}  // namespace outerloop::cli
