// The outer loop of meta-training on one screen: tasks, streams, mean gradient, Adam. No MPI, no checkpoints,
// no failures: docs/architecture.md says where the program has these.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "common/config/settings.h"
#include "common/data/dataset.h"
#include "common/rule/engines/make_engine.h"
#include "coordinator/adam.h"
#include "worker/stream.h"

using namespace outerloop;

// The keys of configs/. The dataset `tables` is computed: no files are read. Some of its worlds are held out.
constexpr char kConfig[] = R"(
  updates: 150 batch: 4 streams: 16
  rule { hidden_channels: 8 top_channels: 8 delta_channels: 4 readout_channels: 2 hidden_blocks: 0
         output_units: 16 inner_step_size: 4e-2 initial_merge: 3 } clip { gradient_norm: 0.05 }
  tasks { dataset { name: "tables" classes: train } min_hidden_layers: 1 max_hidden_layers: 1
          min_way: 5 max_way: 10 labelled_per_class: 10 minibatch: 32
          min_width: 16 max_width: 32 min_inner_steps: 10 max_inner_steps: 50 }
  evaluation { dataset { name: "tables" classes: held_out } })";

static data::TaskDistribution tasks_of(const config::Settings& settings, const config::NamedDataset& named) {
  return {settings.tasks, {{data::open_dataset(named.request, ""), 1.0}}, settings.config.seed()};
}

static worker::Stream stream_of(const worker::StreamContext& context, std::uint32_t number) {
  store::StreamState state;
  state.stream = number;
  return {context, state};
}

/// Mean meta-objective of θ over the first task of 16 streams.
static double validate(const worker::StreamContext& context, const std::vector<double>& theta) {
  std::vector<double> all;
  for (std::uint32_t number = 0; number < 16; ++number)
    for (auto stream = stream_of(context, number); stream.state().task == 0;) {
      const auto objectives = stream.advance(theta, 0).lanes[0].result.meta_objective;
      all.insert(all.end(), objectives.begin(), objectives.end());
    }
  return std::accumulate(all.begin(), all.end(), 0.0) / static_cast<double>(all.size());
}

int main() {
  // 1. The rule, its engine, its tasks, and θ before the first update.
  const auto settings = config::settings_from_text(kConfig, "meta_training.cpp", {});
  const auto& config = settings.config;
  const auto engine = rule::make_engine(settings.rule, settings.engine);
  const auto training = tasks_of(settings, settings.training[0]);
  const auto held_out = tasks_of(settings, settings.evaluation[0]);
  auto theta = rule::initial_theta(engine->theta_layout(), config.seed());
  const double before = validate({*engine, held_out, config.seed(), 5, 5}, theta);

  // 2. Streams of tasks in truncations of 5 inner steps, and the outer optimizer.
  std::vector<worker::Stream> streams;
  for (std::uint32_t number = 0; number < config.streams(); ++number)
    streams.push_back(stream_of({*engine, training, config.seed(), 5, 5}, number));
  coordinator::Adam adam({1e-2, 0.9, 0.999, 1e-8, /*warmup_updates=*/10}, theta.size());

  // 3. Each truncation of a stream gives one meta-gradient, each batch of them one update of θ.
  const auto batch = static_cast<std::size_t>(config.batch());
  for (std::size_t update = 0; update < static_cast<std::size_t>(config.updates()); ++update) {
    std::vector<double> mean(theta.size());
    for (std::size_t i = update * batch; i < (update + 1) * batch; ++i) {
      const auto d_theta =
          streams[i % streams.size()].advance(theta, 0).lanes[0].result.d_theta;  // empty: dead
      const double square = std::inner_product(d_theta.begin(), d_theta.end(), d_theta.begin(), 0.0);
      const double clip = std::min(1.0, config.clip().gradient_norm() / std::sqrt(square));
      for (std::size_t j = 0; j < d_theta.size(); ++j) mean[j] += clip * d_theta[j] / config.batch();
    }
    adam.update(theta, mean);
  }

  // 4. The same held-out tasks again.
  const double after = validate({*engine, held_out, config.seed(), 5, 5}, theta);
  std::printf("meta-objective on held-out tasks: %.3f before meta-training, %.3f after it\n", before, after);
  return after < before - 0.1 ? 0 : 1;
}
