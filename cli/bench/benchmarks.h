#pragma once
// The benchmarks of `outerloop bench` with their options: engine, kernels, coordinator, unroll,
// estimators and gradient.
#include <cstdint>
#include <string>
#include <vector>

namespace outerloop::cli {

struct BenchEngineOptions {
  std::vector<std::string> sizes = {"laptop", "medium", "paper"};
  std::vector<std::string> engines;  ///< KIND[:PRECISION]; empty: all that are available
  std::string instruction_set = "auto";
  int repetitions = 5;
  std::int64_t inner_steps = 0;  ///< k; 0: the default of the size
  int threads = 1;
  std::string device = "cpu";       ///< cpu | cuda | cuda:INDEX
  std::vector<std::int64_t> lanes;  ///< tasks side by side; empty: 1, and for `count` also 16
  bool count = false;               ///< count the reference engine's operations, measure nothing
  std::string count_on = "meta";    ///< meta | cpu
  std::string json;
};

struct BenchKernelsOptions {
  std::vector<std::string> sizes = {"laptop", "medium", "paper"};
  std::string instruction_set = "auto";
  int repetitions = 200;  ///< of a kernel whose data are in the cache; the fastest counts
  std::string json;
};

struct BenchUnrollOptions {
  std::string size = "laptop";
  std::string engine = "fused";  ///< KIND[:PRECISION]
  std::string instruction_set = "auto";
  std::vector<std::int64_t> lengths = {5, 10, 20, 50, 100};
  std::int64_t memory_budget_mib = 1024;
  int repetitions = 3;
  std::string json;
};

struct BenchEstimatorsOptions {
  std::string rule;
  std::vector<std::int64_t> horizons = {5, 10, 20, 50, 100};  ///< inner steps, multiples of `truncation`
  std::int64_t truncation = 5;
  double deviation = 0.01;
  int replicates = 16;
  int tasks = 4;
  std::uint64_t seed = 0;
  std::string json;
};

struct BenchGradientOptions {
  std::string rule;  ///< rule.h5, a checkpoint or a configuration; empty: the preset laptop
  std::vector<std::string> overrides;
  std::vector<std::int64_t> layers = {5, 6};  ///< units of the hidden layers
  std::int64_t inner_steps = 3;
  double noise = 0.01;  ///< standard deviation of what is added to each number of θ
  double tolerance = 1e-5;
  std::uint64_t seed = 0;
  std::string json;
};

struct BenchCoordinatorOptions {
  std::int64_t workers = 512;    ///< simulated, on all ranks except 0
  std::int64_t floats = 115000;  ///< size of θ
  std::int64_t batch = 0;        ///< gradients per update; 0: half the workers
  double seconds = 1.5;          ///< seconds of each measurement
  int repetitions = 7;
  std::string json;
};

/// Each prints a table, also writes it as JSON if requested, and returns the exit code. Throws InputError for
/// an engine that is unknown or unavailable, a rule that cannot be read, or an unsuitable number of ranks.
int bench_engine(const BenchEngineOptions& options);
int bench_kernels(const BenchKernelsOptions& options);
int bench_count(const BenchEngineOptions& options);
int bench_coordinator(const BenchCoordinatorOptions& options);
int bench_unroll(const BenchUnrollOptions& options);
int bench_estimators(const BenchEstimatorsOptions& options);

/// Throws Error where the gradient and the differences disagree.
int bench_gradient(const BenchGradientOptions& options);

}  // namespace outerloop::cli
