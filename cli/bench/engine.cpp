// outerloop bench engine: every engine, forward and whole truncation, at three sizes, in one run.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/bench/benchmarks.h"
#include "cli/bench/machine.h"
#include "cli/bench/measure.h"
#include "common/base/standard_streams.h"
#include "common/config/settings.h"
#include "common/store/atomic_file.h"

namespace outerloop::cli {
namespace {

using nlohmann::json;

struct Machine {
  std::string cpu, pinned, instruction_set;
  Blas blas;
  double fma_peak = 0.0;
};

/// One line of the table.
struct Row {
  std::string size;
  EngineName engine;
  std::int64_t lanes = 1;
  bool gradient = false;
  std::int64_t inner_steps = 0;
  double gflop = 0.0;  ///< nominal, of one inner step of every lane
  std::int64_t peak_bytes = 0;
  Seconds seconds;                      ///< of complete runs
  std::map<std::string, double> parts;  ///< shares of another run's time; empty: unknown
  std::int64_t arena_bytes = 0;         ///< part of peak_bytes; 0: the engine has no arena

  double milliseconds(double whole) const { return 1e3 * whole / static_cast<double>(inner_steps); }
  double per_step() const { return milliseconds(seconds.median()); }
  double gflops() const { return gflop / (1e-3 * per_step()); }
};

/// All engines at one size, in turn, so that a change of the machine's speed affects all of them.
std::vector<Row> measure(const BenchSize& size, std::int64_t lanes, const std::vector<EngineName>& engines,
                         const BenchEngineOptions& options, const rule::EngineOptions& engine_options) {
  const std::int64_t k = options.inner_steps > 0 ? options.inner_steps : size.inner_steps;
  const auto problem = bench_problem(size, k);
  std::vector<Runner> runners;
  std::vector<Row> rows;
  runners.reserve(engines.size());
  for (const auto& engine : engines) {
    runners.emplace_back(engine, size, lanes, engine_options);
    for (const bool gradient : {false, true})
      rows.push_back({size.name,
                      engine,
                      lanes,
                      gradient,
                      k,
                      static_cast<double>(lanes) * size.gflop(gradient),
                      runners.back().measure_memory(problem, gradient),
                      Seconds(),
                      {},
                      0});
  }
  for (int repetition = 0; repetition < options.repetitions; ++repetition)
    for (std::size_t i = 0; i < rows.size(); ++i)
      runners[i / 2].time(problem, rows[i].gradient, rows[i].seconds);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].gradient) rows[i].parts = runners[i / 2].parts(problem);
    rows[i].arena_bytes = runners[i / 2].arena_bytes();
  }
  return rows;
}

void print_machine(const Machine& machine, const BenchEngineOptions& options) {
  fmt::print("{}, {}, {}, {}{}\n", machine.cpu, machine.pinned, machine.instruction_set,
             options.threads == 1 ? "1 thread" : fmt::format("{} threads", options.threads),
             options.device == "cpu" ? "" : ", device " + options.device);
  fmt::print("fused multiply-add peak of one core {:.1f} GFLOP/s (float32)\n", machine.fma_peak);
  if (machine.blas.gflops > 0)
    fmt::print("sgemm {:.1f} GFLOP/s, 384 x 384, {}\n", machine.blas.gflops, machine.blas.name);
  else
    fmt::print("sgemm not measured: neither libblas.so.3 nor libopenblas.so.0 is here\n");
  fmt::print("\n{:<8}{:<11}{:<10}{:<10}{:>5}{:>4}{:>14}{:>20}{:>11}{:>10}{:>12}\n", "size", "engine",
             "precision", "direction", "lanes", "k", "ms per step", "least to most", "GFLOP/s", "of peak",
             "memory");
  std::fflush(stdout);
}

/// e.g. "convolutions 61 %, readouts 9 %", the largest first.
std::string parts_text(const std::map<std::string, double>& parts) {
  std::vector<std::pair<double, std::string>> sorted;
  for (const auto& [name, share] : parts) sorted.emplace_back(share, name);
  std::sort(sorted.rbegin(), sorted.rend());
  std::string text;
  for (const auto& [share, name] : sorted)
    text += fmt::format("{}{} {:.1f} %", text.empty() ? "" : ", ", name, 100 * share);
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

void print_rows(const std::vector<Row>& rows, double peak) {
  for (const auto& row : rows)
    fmt::print("{:<8}{:<11}{:<10}{:<10}{:>5}{:>4}{:>14.2f}{:>20}{:>11.1f}{:>10}{:>12}\n", row.size,
               row.engine.kind_name(), row.engine.precision_name(), row.gradient ? "gradient" : "forward",
               row.lanes, row.inner_steps, row.per_step(),
               fmt::format("{:.2f} to {:.2f}", row.milliseconds(row.seconds.least()),
                           row.milliseconds(row.seconds.most())),
               row.gflops(), peak > 0 ? fmt::format("{:.1f}%", 100 * row.gflops() / peak) : "-",
               mebibytes(row.peak_bytes));
  for (const auto& row : rows)
    if (!row.parts.empty())
      fmt::print("        time of a gradient, {}: {}; arena {}\n", row.engine.text(), parts_text(row.parts),
                 mebibytes(row.arena_bytes));
  std::fflush(stdout);
}

/// Share of the wall-clock time in which single-threaded runs had their core.
double core_share(const std::vector<Row>& rows) {
  double wall = 0.0, processor = 0.0;
  for (const auto& row : rows) {
    wall += row.seconds.all();
    processor += row.seconds.of_processor;
  }
  return std::min(1.0, processor / wall);
}

/// Speed-up of fused over reference, by size: float32, gradient, one thread.
std::map<std::string, double> ratios(const std::vector<Row>& rows, int threads) {
  std::map<std::string, double> fused, ratio;
  if (threads != 1) return ratio;
  for (const auto& row : rows)
    if (row.gradient && row.lanes == 1 && row.engine.text() == "fused:float32")
      fused[row.size] = row.per_step();
  for (const auto& row : rows)
    if (row.gradient && row.lanes == 1 && row.engine.text() == "reference:float32" &&
        fused.count(row.size) > 0)
      ratio[row.size] = row.per_step() / fused[row.size];
  return ratio;
}

/// `peak` is 0 on a device, whose peak is not known.
json to_json(const Row& row, int threads, double peak) {
  json result = {{"size", row.size},
                 {"engine", row.engine.kind_name()},
                 {"precision", row.engine.precision_name()},
                 {"threads", threads},
                 {"direction", row.gradient ? "gradient" : "forward"},
                 {"lanes", row.lanes},
                 {"k", row.inner_steps},
                 {"ms_per_inner_step", row.per_step()},
                 {"ms_least", row.milliseconds(row.seconds.least())},
                 {"ms_most", row.milliseconds(row.seconds.most())},
                 {"gflops", row.gflops()},
                 {"peak_bytes", row.peak_bytes},
                 {"arena_bytes", row.arena_bytes}};
  if (peak > 0) result["fraction_of_peak"] = row.gflops() / peak;
  if (!row.parts.empty()) result["parts"] = row.parts;
  return result;
}

json to_json(const Machine& machine, const std::vector<Row>& rows, const BenchEngineOptions& options,
             double peak) {
  json result = {{"cpu", machine.cpu},
                 {"device", options.device},
                 {"pinned", machine.pinned},
                 {"instruction_set", machine.instruction_set},
                 {"blas", machine.blas.name},
                 {"sgemm_gflops", machine.blas.gflops},
                 {"fma_peak_gflops", machine.fma_peak},
                 {"repetitions", options.repetitions},
                 {"core_share", core_share(rows)},
                 {"rows", json::array()},
                 {"ratio_to_reference", ratios(rows, options.threads)}};
  for (const auto& row : rows) result["rows"].push_back(to_json(row, options.threads, peak));
  return result;
}

}  // namespace

int bench_engine(const BenchEngineOptions& options) {
  // 1. The machine, before any library has started threads
  Machine machine;
  machine.pinned = pin_to_cores(options.threads);
  machine.cpu = processor_name();
  const auto set = rule::fused::find_instruction_set(options.instruction_set);
  machine.instruction_set = rule::fused::instruction_set_name(set);
  machine.fma_peak = fma_peak_gflops(set);
  machine.blas = measure_blas();
  const double peak = options.device == "cpu" ? options.threads * machine.fma_peak : 0.0;

  // 2. The engines
  rule::EngineOptions engine_options = config::default_engine();
  engine_options.instruction_set = options.instruction_set;
  engine_options.threads = options.threads;
  engine_options.device = options.device;
  const auto engines = choose_engines(options.engines, engine_options);

  // 3. One size after another
  print_machine(machine, options);
  std::vector<Row> rows;
  for (const auto& name : options.sizes)
    for (const auto lanes : options.lanes.empty() ? std::vector<std::int64_t>{1} : options.lanes) {
      const auto some = measure(bench_size(name), lanes, engines, options, engine_options);
      print_rows(some, peak);
      rows.insert(rows.end(), some.begin(), some.end());
    }
  for (const auto& [size, ratio] : ratios(rows, options.threads))
    fmt::print("\n{}: fused is {:.1f} times as fast as reference (float32, gradient)", size, ratio);
  fmt::print("\n");
  const double share = core_share(rows);
  if (options.threads == 1 && share < 0.97)
    base::print_remark(
        fmt::format("other processes took {:.0f} % of the time on this core, so times are too long; run the "
                    "benchmark on a machine that has nothing else to do",
                    100 * (1 - share)));
  if (!options.json.empty())
    store::write_file_atomically(options.json, to_json(machine, rows, options, peak).dump(2) + "\n");
  return 0;
}

}  // namespace outerloop::cli
