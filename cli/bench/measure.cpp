#include "cli/bench/measure.h"

#include <fmt/format.h>

#include <ctime>
#include <iterator>

#include "cli/bench/machine.h"
#include "common/base/error.h"
#include "common/rule/fused/engine.h"

namespace outerloop::cli {

double Seconds::median() const {
  auto sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : 0.5 * (sorted[half - 1] + sorted[half]);
}

void PartClock::enter(rule::fused::Part part) {
  const auto now = Clock::now();
  seconds_[static_cast<std::size_t>(now_)] += std::chrono::duration<double>(now - since_).count();
  now_ = part;
  since_ = now;
}

std::map<std::string, double> PartClock::shares() {
  enter(now_);
  // In the order of rule::fused::Part.
  const char* const names[] = {"convolutions", "readouts",       "weight_change",
                               "base_model",   "meta_objective", "rest"};
  static_assert(std::size(names) == rule::fused::kParts, "one name for every part");
  const double all = std::max(std::accumulate(seconds_.begin(), seconds_.end(), 0.0), 1e-9);
  std::map<std::string, double> shares;
  for (std::size_t i = 0; i < seconds_.size(); ++i) shares[names[i]] = seconds_[i] / all;
  return shares;
}

Runner::Runner(const EngineName& name, const BenchSize& size, std::int64_t lanes,
               const rule::EngineOptions& options)
    : name_(name),
      size_(size),
      lanes_(static_cast<std::size_t>(lanes)),
      engine_(open_engine(name, size.rule, options)) {
  warm_up(*engine_);
  forget_peak();
  base_ = resident_bytes();
}

std::int64_t Runner::measure_memory(const BenchProblem& problem, bool gradient) {
  forget_peak();
  run(problem, gradient);
  return std::max(std::int64_t{0}, peak_resident_bytes() - base_);
}

void Runner::run(const BenchProblem& problem, bool gradient) {
  if (!gradient) {
    const std::vector<rule::UnrollLane> lanes(lanes_, {problem.phi, problem.minibatches});
    engine_->unrolls(size_.architecture, problem.theta, lanes);
    return;
  }
  const std::vector<rule::TruncationLane> lanes(lanes_, {problem.phi, problem.steps});
  for (const auto& result : engine_->truncations(size_.architecture, problem.theta, lanes))
    if (result.outcome != rule::Outcome::finished)
      throw Error(fmt::format("bench: {} at size {} ended as {}", name_.text(), size_.name,
                              rule::outcome_name(result.outcome)));
}

void Runner::time(const BenchProblem& problem, bool gradient, Seconds& seconds) {
  const std::clock_t processor = std::clock();
  const auto start = std::chrono::steady_clock::now();
  run(problem, gradient);
  seconds.values.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  seconds.of_processor += static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC;
}

std::map<std::string, double> Runner::parts(const BenchProblem& problem) {
  auto* const engine = dynamic_cast<rule::fused::FusedEngine*>(engine_.get());
  if (!engine) return {};
  PartClock clock;
  engine->set_profiler(&clock);
  run(problem, true);
  engine->set_profiler(nullptr);
  return clock.shares();
}

std::int64_t Runner::arena_bytes() const {
  const auto* const engine = dynamic_cast<const rule::fused::FusedEngine*>(engine_.get());
  return engine ? engine->arena_bytes() : 0;
}

std::string mebibytes(std::int64_t bytes) {
  return fmt::format("{:.0f} MiB", static_cast<double>(bytes) / 1048576.0);
}

}  // namespace outerloop::cli
