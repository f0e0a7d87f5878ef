#include "tests/simulation/scenario.h"

#include <fmt/format.h>

#include "tests/coordinator/options.h"
#include "tests/simulation/engine.h"

namespace outerloop::simulation {

namespace {

/// From separate dice, so that other draws of a seed do not change.
coordinator::EvaluationOptions draw_evaluation(std::uint64_t seed) {
  Dice dice(seed ^ 0xe7a1);
  coordinator::EvaluationOptions evaluation;
  if (dice.happens(0.4)) return evaluation;
  evaluation.every_updates = dice.log_uniform(1, 6);
  evaluation.tasks = dice.log_uniform(1, 4);
  evaluation.datasets = {{"toy", coordinator::EvaluationRole::train},
                         {"toy", coordinator::EvaluationRole::validation},
                         {"toy", coordinator::EvaluationRole::test}};
  return evaluation;
}

/// From separate dice.
std::int64_t draw_joins(std::uint64_t seed) {
  Dice dice(seed ^ 0x701e);
  return dice.happens(0.3) ? dice.log_uniform(1, 4) : 0;
}

/// From separate dice.
double draw_leaves(std::uint64_t seed) {
  Dice dice(seed ^ 0x1eafe);
  return dice.happens(0.3) ? dice.uniform(0.001, 0.1) : 0.0;
}

/// From separate dice.
void draw_presence(std::uint64_t seed, Scenario& s) {
  Dice dice(seed ^ 0xbea7);
  s.connected = dice.happens(0.2) ? 0.0 : dice.uniform(0.3, 1.0);
  s.long_work = dice.happens(0.5) ? 0.0 : dice.uniform(0.001, 0.05);
  s.interrupted = dice.uniform();
}

/// From separate dice.
std::int64_t draw_group(std::uint64_t seed) {
  Dice dice(seed ^ 0x1a9e5);
  return dice.happens(0.4) ? dice.log_uniform(2, 4) : 1;
}

/// From separate dice. Not with files: their readers fork, and must not meet another thread.
bool draw_prefetch(std::uint64_t seed, bool disk) {
  Dice dice(seed ^ 0xf37c4);
  return dice.happens(0.2) && !disk;
}

/// From separate dice. With a few bytes, streams go out one by one.
std::int64_t draw_assign_bytes(std::uint64_t seed) {
  Dice dice(seed ^ 0xa5519);
  return dice.happens(0.3) ? dice.log_uniform(1, 10000) : std::int64_t{1} << 28;
}

/// From separate dice. A far too large learning rate makes the meta-objective rise again.
void draw_learning(std::uint64_t seed, Scenario& s) {
  Dice dice(seed ^ 0x1ea2);
  auto& o = s.options;
  if (dice.happens(0.5)) {
    o.adam.learning_rate = dice.uniform(0.5, 3.0);
    o.step_back.tolerance = dice.uniform(0.002, 0.15);
    o.step_back.every_updates = dice.log_uniform(1, 4);
    o.step_back.learning_rate_factor = dice.uniform(0.3, 0.9);
    o.step_back.most = dice.log_uniform(1, 5);
  }
  if (dice.happens(0.4)) {
    o.adam.decay_updates = o.adam.warmup_updates + dice.log_uniform(1, 24);
    o.adam.final_learning_rate = 0.1 * o.adam.learning_rate;
  }
  if (dice.happens(0.4)) s.curriculum = {dice.log_uniform(1, 24), dice.log_uniform(1, 3), 12};
}

}  // namespace

Scenario draw_scenario(std::uint64_t seed) {
  Dice dice(seed ^ 0x5eed);
  Scenario s;
  s.seed = seed;
  s.options = tests::coordinator_options();
  auto& o = s.options;
  o.deterministic = dice.happens(0.5);
  s.most_workers = dice.log_uniform(1, 64);
  o.streams = dice.log_uniform(1, s.most_workers > 16 ? 64 : 24);
  o.batch = o.deterministic ? o.streams : dice.log_uniform(1, 16);
  o.updates = dice.log_uniform(2, o.deterministic && o.streams > 16 ? 8 : 24);
  o.staleness_bound = coordinator::default_staleness_bound(s.most_workers, o.batch);
  if (dice.happens(0.2)) o.staleness_bound = 1;
  o.reject_norm = 0.5 * Engine::kTooLarge;
  o.batch_norm_clip = dice.happens(0.5) ? 1.0 : 0.0;
  o.adam.learning_rate = 0.05;
  o.adam.warmup_updates = dice.log_uniform(1, 4);
  o.average_decay = dice.happens(0.5) ? 0.9 : 0.0;
  o.checkpoint_every = dice.happens(0.1) ? 0 : dice.log_uniform(1, 6);
  o.max_failures = dice.happens(0.2) ? 1 : 1000;
  o.deadline = 0.4;
  o.evaluation = draw_evaluation(seed);
  o.group = draw_group(seed);
  o.assign_bytes = draw_assign_bytes(seed);
  s.joins = draw_joins(seed);
  s.leaves = draw_leaves(seed);
  draw_learning(seed, s);
  draw_presence(seed, s);
  s.max_length = dice.log_uniform(1, 4);
  s.disk = o.streams <= 4 && dice.happens(0.04);
  s.prefetch = draw_prefetch(seed, s.disk);
  s.slowest_message = dice.happens(0.3) ? 0.1 : 0.005;
  s.slowest_truncation = dice.uniform(0.001, 0.03);
  if (dice.happens(0.1)) return s;  // no faults
  s.faults = dice.log_uniform(1, 12);
  const double rate = dice.uniform(0.2, 2.0) / static_cast<double>(o.updates * o.batch);
  const auto maybe = [&](double probability) { return dice.happens(0.6) ? probability : 0.0; };
  s.worker_dies = maybe(rate);
  s.worker_stalls = maybe(0.3 * rate);
  s.coordinator_dies = maybe(0.3 * rate);
  s.dies_while_writing = maybe(dice.uniform(0.05, 0.6));
  s.signal = maybe(0.3 * rate);
  s.replaced = maybe(dice.uniform(0.2, 1.0));
  return s;
}

std::string Scenario::description() const {
  return fmt::format(
      "{}, {} streams{}, batch {}, {} updates, up to {} workers, a checkpoint every {} updates, an "
      "evaluation every {}{}{}{}",
      options.deterministic ? "deterministic" : "asynchronous", options.streams,
      options.group > 1 ? fmt::format(" of {} lanes", options.group) : "", options.batch, options.updates,
      most_workers, options.checkpoint_every, options.evaluation.every_updates,
      options.step_back.tolerance > 0.0 ? ", steps back" : "", disk ? ", on disk" : "",
      prefetch ? ", prefetching" : "");
}

}  // namespace outerloop::simulation
