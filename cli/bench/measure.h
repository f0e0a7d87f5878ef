#pragma once
// Time and memory of one engine at one size: forward passes and whole truncations.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "cli/bench/problem.h"
#include "common/rule/fused/profile.h"

namespace outerloop::cli {

/// A sample of seconds.
struct Seconds {
  std::vector<double> values;
  double of_processor = 0.0;  ///< processor time of this process, in core-seconds

  double median() const;
  double least() const { return *std::min_element(values.begin(), values.end()); }
  double all() const { return std::accumulate(values.begin(), values.end(), 0.0); }
  double most() const { return *std::max_element(values.begin(), values.end()); }
};

/// Seconds by part of the work, from construction on.
class PartClock final : public rule::fused::Profiler {
 public:
  void enter(rule::fused::Part part) override;

  /// Share of every part in the time so far, by name; they sum to one.
  std::map<std::string, double> shares();

 private:
  using Clock = std::chrono::steady_clock;

  std::array<double, rule::fused::kParts> seconds_{};
  rule::fused::Part now_ = rule::fused::Part::rest;
  Clock::time_point since_ = Clock::now();
};

/// An engine with a problem size, which it computes for some lanes at a time. The first run of each direction
/// measures memory, later runs measure time.
class Runner {
 public:
  /// Makes the engine and warms it up.
  Runner(const EngineName& name, const BenchSize& size, std::int64_t lanes,
         const rule::EngineOptions& options);

  /// Peak resident memory during the first run of this direction, minus the resident memory before the
  /// engine's first run at this size. Includes the memory that the engine keeps between runs.
  std::int64_t measure_memory(const BenchProblem& problem, bool gradient);

  /// Adds one run to `seconds`. Throws Error where the engine ends with another outcome than `finished`.
  void time(const BenchProblem& problem, bool gradient, Seconds& seconds);

  /// Shares of a whole truncation's time, by name of the part; empty if the engine does not report them.
  std::map<std::string, double> parts(const BenchProblem& problem);

  /// Bytes of the fused engine's arena; 0 if the engine has none.
  std::int64_t arena_bytes() const;

 private:
  void run(const BenchProblem& problem, bool gradient);

  EngineName name_;
  const BenchSize& size_;
  std::size_t lanes_;
  std::unique_ptr<rule::Engine> engine_;
  std::int64_t base_ = 0;  ///< resident bytes before the first run
};

/// e.g. "812 MiB"
std::string mebibytes(std::int64_t bytes);

}  // namespace outerloop::cli
