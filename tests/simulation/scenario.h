#pragma once
// Scenario of one seed: the job and its faults.
#include <cstdint>
#include <string>

#include "common/rule/random.h"
#include "coordinator/coordinator.h"
#include "worker/stream.h"

namespace outerloop::simulation {

/// Sequential draws; the same seed gives the same sequence everywhere.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed, 0, 0, rule::Purpose::test) {}
  double uniform() { return random_.uniform(next_++); }
  double uniform(double low, double high) { return random_.uniform(next_++, low, high); }
  bool happens(double probability) { return uniform() < probability; }
  /// Both ends included, small values are more likely.
  std::int64_t log_uniform(std::int64_t low, std::int64_t high) {
    return random_.log_uniform(next_++, low, high);
  }

 private:
  rule::Random random_;
  std::uint32_t next_ = 0;
};

struct Scenario {
  std::uint64_t seed = 0;
  coordinator::CoordinatorOptions options;
  std::int64_t most_workers = 1;  ///< each start of the job draws the number
  std::int64_t parameters = 4;
  std::int64_t max_length = 3;  ///< inner steps per truncation; options.group has the lanes of a stream
  worker::Curriculum curriculum{};
  bool disk = false;      ///< checkpoints as real files
  bool prefetch = false;  ///< of minibatches, in the workers

  // Probabilities per opportunity, as long as `faults` are left.
  std::int64_t faults = 0;
  double worker_dies = 0.0;         ///< at a message sent or received
  double worker_stalls = 0.0;       ///< for longer than the deadline
  double coordinator_dies = 0.0;    ///< before a message is handled
  double dies_while_writing = 0.0;  ///< per checkpoint
  double signal = 0.0;              ///< per message sent
  double replaced = 0.0;            ///< a dead worker, by a new one
  std::int64_t joins = 0;           ///< late joiners of each start
  double leaves = 0.0;              ///< per message sent by one that may leave, whatever `faults` says
  // Independent of `faults`, with separate dice:
  double connected = 0.0;    ///< share of workers that hold a silent connection
  double long_work = 0.0;    ///< per answer: work beyond the deadline, with progress messages
  double interrupted = 0.0;  ///< per signal: it interrupts the current computation

  // Seconds of virtual time.
  double slowest_message = 0.01;
  double slowest_truncation = 0.02;

  std::string description() const;
  /// Of its streams.
  worker::StreamContext context(rule::Engine& engine, const data::TaskDistribution& tasks) const {
    return {engine, tasks, seed, 1, max_length, curriculum, {}, false, options.group, options.reject_norm};
  }
};

Scenario draw_scenario(std::uint64_t seed);

}  // namespace outerloop::simulation
