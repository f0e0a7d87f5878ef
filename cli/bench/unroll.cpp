// outerloop bench unroll: time and memory of a truncation by its length.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/bench/benchmarks.h"
#include "cli/bench/machine.h"
#include "cli/bench/measure.h"
#include "common/config/settings.h"
#include "common/store/atomic_file.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

struct Row {
  std::int64_t inner_steps = 0;
  double milliseconds = 0.0;  ///< per inner step
  std::int64_t peak_bytes = 0;
};

/// A new engine for every length, so that no length reuses memory allocated for another.
Row measure(const EngineName& engine, const BenchSize& size, std::int64_t k, int repetitions,
            const rule::EngineOptions& options) {
  const auto problem = bench_problem(size, k);
  Runner runner(engine, size, 1, options);
  Row row;
  row.inner_steps = k;
  row.peak_bytes = runner.measure_memory(problem, true);
  Seconds seconds;
  for (int i = 0; i < repetitions; ++i) runner.time(problem, true, seconds);
  row.milliseconds = 1e3 * seconds.median() / static_cast<double>(k);
  return row;
}

double seconds_of(rule::Engine& engine, const BenchSize& size, const BenchProblem& problem) {
  const auto start = std::chrono::steady_clock::now();
  engine.truncation(size.architecture, problem.theta, problem.phi, problem.steps);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Extra cost of the first truncation on a new base model, compared with a repetition, in milliseconds: the
/// median over base models, each with hidden layers one unit narrower than the last. Truncations are short,
/// so that the difference is not lost in the time of the work itself.
double fresh_architecture(const EngineName& name, BenchSize size, const rule::EngineOptions& options) {
  constexpr int kBaseModels = 9, kAgain = 3;
  constexpr std::int64_t kSteps = 2;
  const auto engine = open_engine(name, size.rule, options);
  warm_up(*engine);
  seconds_of(*engine, size, bench_problem(size, kSteps));  // the largest, to allocate all memory
  Seconds differences;
  for (int i = 0; i < kBaseModels; ++i) {
    auto& units = size.architecture.units;
    for (std::size_t layer = 1; layer + 1 < units.size(); ++layer) --units[layer];
    const auto problem = bench_problem(size, kSteps);
    const double first = seconds_of(*engine, size, problem);
    double again = std::numeric_limits<double>::infinity();
    for (int j = 0; j < kAgain; ++j) again = std::min(again, seconds_of(*engine, size, problem));
    differences.values.push_back(first - again);
  }
  return 1e3 * differences.median();
}

}  // namespace

int bench_unroll(const BenchUnrollOptions& options) {
  // 1. Machine and engine
  const std::string pinned = pin_to_cores(1);
  rule::EngineOptions engine_options = config::default_engine();
  engine_options.instruction_set = options.instruction_set;
  engine_options.memory_budget_mib = options.memory_budget_mib;
  const auto size = bench_size(options.size);
  const EngineName engine = choose_engines({options.engine}, engine_options).front();
  fmt::print("{}, {}; {} at size {}, whole truncation, memory budget {} MiB\n\n{:>5}{:>14}{:>12}\n",
             processor_name(), pinned, engine.text(), size.name, options.memory_budget_mib, "k",
             "ms per step", "memory");

  // 2. One length after another
  json rows = json::array();
  Row last;
  for (const auto k : options.lengths) {
    // An engine that keeps everything needs memory in proportion to k: stop before the system kills the
    // process.
    const double expected = last.inner_steps > 0
                                ? static_cast<double>(last.peak_bytes) * static_cast<double>(k) /
                                      static_cast<double>(last.inner_steps)
                                : 0.0;
    if (engine.kind == rule::EngineKind::reference && expected > static_cast<double>(available_bytes())) {
      fmt::print("{:>5}  not measured: it would take about {}, and {} are free\n", k,
                 mebibytes(static_cast<std::int64_t>(expected)), mebibytes(available_bytes()));
      continue;
    }
    last = measure(engine, size, k, options.repetitions, engine_options);
    fmt::print("{:>5}{:>14.2f}{:>12}\n", k, last.milliseconds, mebibytes(last.peak_bytes));
    std::fflush(stdout);
    rows.push_back({{"k", k}, {"ms_per_inner_step", last.milliseconds}, {"peak_bytes", last.peak_bytes}});
  }

  // 3. A base model that is new to the engine
  const double fresh = fresh_architecture(engine, size, engine_options);
  fmt::print("\nA base model that the engine has not seen costs {:.2f} ms more than a known one.\n", fresh);

  // 4. The same as JSON
  const json result = {{"cpu", processor_name()},
                       {"engine", engine.kind_name()},
                       {"precision", engine.precision_name()},
                       {"size", size.name},
                       {"memory_budget_mib", options.memory_budget_mib},
                       {"repetitions", options.repetitions},
                       {"fresh_architecture_ms", fresh},
                       {"rows", rows}};
  if (!options.json.empty()) store::write_file_atomically(options.json, result.dump(2) + "\n");
  return 0;
}

}  // namespace outerloop::cli
