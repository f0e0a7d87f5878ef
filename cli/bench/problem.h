#pragma once
// Problems of the benchmarks: three sizes of the neuron-local rule on random data, and engines by name.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/rule/engine.h"

namespace outerloop::cli {

/// One size with its nominal work. Common to all sizes: 196 inputs, G = 4, H = 1, P = 2, N_L = 32, way 10,
/// and 10 examples per class in each of the two labelled minibatches (K' = 100).
struct BenchSize {
  std::string name;        ///< laptop, medium, paper
  rule::RuleOptions rule;  ///< C = T and D
  rule::Architecture architecture;
  std::int64_t batch = 0;        ///< B
  std::int64_t inner_steps = 0;  ///< k
  /// FLOPs of the matrix products of one inner step of a whole truncation in 1e9: forward, data gradients and
  /// weight gradients without any recomputation, a third each. The actual operations of an engine are never
  /// counted.
  double gradient_gflop = 0.0;

  double gflop(bool gradient) const { return gradient ? gradient_gflop : gradient_gflop / 3; }
};

/// Throws InputError for an unknown name.
BenchSize bench_size(const std::string& name);

/// θ and φ from their initial distribution, inputs uniform in [0, 1), different examples in every step.
struct BenchProblem {
  std::vector<double> theta, phi;
  std::vector<rule::StepData> steps;
  std::vector<rule::Batch> minibatches;  ///< the inner ones of `steps`
};
BenchProblem bench_problem(const BenchSize& size, std::int64_t inner_steps);

/// Sizes of random minibatches.
struct RandomSteps {
  std::int64_t inputs = 0;
  std::int64_t batch = 0;       ///< examples of an inner step
  bool labelled_inner = false;  ///< the rule trains on labels
  std::int64_t labelled = 0;    ///< examples in each of the two labelled minibatches
  std::int64_t way = 0;         ///< classes, in turn
  std::int64_t inner_steps = 0;
  std::uint64_t seed = 0;
};
/// Inputs uniform in [0, 1), different examples in every step.
std::vector<rule::StepData> random_steps(const RandomSteps& sizes);

/// An engine and its precision, e.g. "fused:float32".
struct EngineName {
  rule::EngineKind kind = rule::EngineKind::fused;
  rule::Precision precision = rule::Precision::float32;

  std::string kind_name() const;
  std::string precision_name() const;
  std::string text() const { return kind_name() + ":" + precision_name(); }
};

/// KIND[:PRECISION], float32 if omitted. Throws InputError with the available engines.
EngineName parse_engine(const std::string& text);

/// The named engines; without names, all that are available (fused float32 and mixed, reference float32), and
/// unavailable ones are reported on stderr. Throws InputError if a named engine is unavailable, or none is
/// available.
std::vector<EngineName> choose_engines(const std::vector<std::string>& names,
                                       const rule::EngineOptions& options);

std::unique_ptr<rule::Engine> open_engine(const EngineName& name, const rule::RuleOptions& rule,
                                          rule::EngineOptions options);

/// Warm-up: one inner step of a very small base model. Work that a process does only once (loading libraries,
/// allocating their buffers) is then excluded from later measurements.
void warm_up(rule::Engine& engine);

}  // namespace outerloop::cli
