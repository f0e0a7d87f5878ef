#include "cli/bench/bench.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/bench/benchmarks.h"
#include "cli/support/rule_flags.h"

namespace outerloop::cli {
namespace {

const std::vector<std::string> kSizes = {"laptop", "medium", "paper"};
const std::vector<std::string> kInstructionSets = {"auto", "avx512", "avx2", "sse4", "baseline"};
constexpr int kMostRepetitions = 1000;
constexpr std::int64_t kMostSteps = 10000;

void add_sizes(CLI::App& command, std::vector<std::string>& sizes, const std::string& help) {
  command.add_option("--size,--sizes", sizes, help)
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember(kSizes))
      ->capture_default_str();
}

template <class Options>
void add_common(CLI::App& command, Options& options,
                const std::string& repetitions = "of every measurement; the median counts",
                int most = kMostRepetitions) {
  command.add_option("--repetitions", options.repetitions, repetitions)
      ->check(CLI::Range(1, most))
      ->capture_default_str();
  command.add_option("--instruction-set", options.instruction_set, "of the fused engine and the peak")
      ->check(CLI::IsMember(kInstructionSets))
      ->capture_default_str();
  command.add_option("--json", options.json, "write the table to this file as JSON");
}

Command add_engine(CLI::App& bench) {
  const auto options = std::make_shared<BenchEngineOptions>();
  auto* command = bench.add_subcommand(
      "engine", "Forward pass and whole truncation of every engine, next to the peak of the core.");
  add_sizes(*command, options->sizes, "laptop,medium,paper; paper takes the reference 6 GB");
  command
      ->add_option("--engine,--engines", options->engines, "KIND[:PRECISION], e.g. fused:float32,reference")
      ->default_str("all available")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--inner-steps", options->inner_steps, "k")
      ->default_str("10, at paper size 5")
      ->check(CLI::Range(std::int64_t{1}, kMostSteps));
  command->add_option("--threads", options->threads, "of every engine")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command
      ->add_option("--device", options->device, "cpu, cuda or cuda:INDEX; a GPU takes the reference engine")
      ->capture_default_str();
  command->add_option("--lanes", options->lanes, "tasks side by side in one call, e.g. 1,4,16,64")
      ->default_str("1, for --count 1,16")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{4096}));
  command->add_flag("--count", options->count,
                    "only count the operations of the reference engine on a device");
  command->add_option("--count-on", options->count_on, "meta: shapes without numbers, for any size; or cpu")
      ->check(CLI::IsMember(std::vector<std::string>{"meta", "cpu"}))
      ->capture_default_str();
  add_common(*command, *options);
  return {command, [options] { return options->count ? bench_count(*options) : bench_engine(*options); }};
}

Command add_kernels(CLI::App& bench) {
  const auto options = std::make_shared<BenchKernelsOptions>();
  auto* command = bench.add_subcommand(
      "kernels", "The fused engine's inner loops one by one, with data in the cache and from memory.");
  add_sizes(*command, options->sizes, "laptop,medium,paper");
  add_common(*command, *options, "of every kernel; the fastest counts", 100000);
  return {command, [options] { return bench_kernels(*options); }};
}

Command add_unroll(CLI::App& bench) {
  const auto options = std::make_shared<BenchUnrollOptions>();
  auto* command = bench.add_subcommand("unroll", "Time and memory of a truncation against its length k.");
  command->add_option("--size,--sizes", options->size, "laptop, medium or paper")
      ->check(CLI::IsMember(kSizes))
      ->capture_default_str();
  command
      ->add_option("--engine,--engines", options->engine, "KIND[:PRECISION], e.g. fused:float32, reference")
      ->capture_default_str();
  command->add_option("--lengths", options->lengths, "inner steps")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(std::int64_t{1}, kMostSteps))
      ->capture_default_str();
  command
      ->add_option("--memory-budget-mib", options->memory_budget_mib,
                   "engine.memory_budget_mib (fused engine only)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30))
      ->capture_default_str();
  add_common(*command, *options);
  return {command, [options] { return bench_unroll(*options); }};
}

Command add_coordinator(CLI::App& bench) {
  const auto options = std::make_shared<BenchCoordinatorOptions>();
  auto* command = bench.add_subcommand(
      "coordinator",
      "The coordinator against the bare exchange of the same bytes. Under mpirun rank 0 coordinates and the "
      "others send; alone it starts mpirun with two ranks.");
  command->add_option("--workers", options->workers, "simulated workers, over all ranks but rank 0")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{100000}))
      ->capture_default_str();
  command->add_option("--floats", options->floats, "numbers of θ")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{100000000}))
      ->capture_default_str();
  command->add_option("--batch", options->batch, "gradients per update")
      ->default_str("half the workers")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000000}));
  command->add_option("--seconds", options->seconds, "of every measurement")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
  command->add_option("--repetitions", options->repetitions, "of every measurement; the median counts")
      ->check(CLI::Range(1, kMostRepetitions))
      ->capture_default_str();
  command->add_option("--json", options->json, "write the table to this file as JSON");
  return {command, [options] { return bench_coordinator(*options); }};
}

Command add_estimators(CLI::App& bench) {
  const auto options = std::make_shared<BenchEstimatorsOptions>();
  auto* command = bench.add_subcommand(
      "estimators", "Bias and noise of every gradient estimator against the horizon, on a rule's own tasks.");
  add_rule(*command, options->rule);
  command
      ->add_option("--horizons", options->horizons,
                   "inner steps at which a truncation ends, rising multiples of --truncation")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(std::int64_t{1}, kMostSteps))
      ->capture_default_str();
  command->add_option("--truncation", options->truncation, "inner steps of a truncation")
      ->check(CLI::Range(std::int64_t{1}, kMostSteps))
      ->capture_default_str();
  command->add_option("--deviation", options->deviation, "of the noise on each number of θ")
      ->check(CLI::Range(1e-9, 10.0))
      ->capture_default_str();
  command->add_option("--replicates", options->replicates, "antithetic pairs that the noise is measured with")
      ->check(CLI::Range(2, 100000))
      ->capture_default_str();
  command->add_option("--tasks", options->tasks, "tasks of the rule's own distribution")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "of the tasks")->capture_default_str();
  command->add_option("--json", options->json, "write the table to this file as JSON");
  return {command, [options] { return bench_estimators(*options); }};
}

Command add_gradient(CLI::App& bench) {
  const auto options = std::make_shared<BenchGradientOptions>();
  auto* command = bench.add_subcommand(
      "gradient", "Compares a rule's gradient with central differences; exit code 1 where they disagree.");
  command
      ->add_option("RULE", options->rule,
                   "rule.h5, a checkpoint, or a configuration, whose initial θ is used")
      ->default_str("laptop");
  command
      ->add_option("--set", options->overrides,
                   "key=value of the configuration, e.g. --set rule.name=supervised_sgd; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--layers", options->layers, "units of the base model's hidden layers")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{4096}))
      ->capture_default_str();
  command->add_option("--inner-steps", options->inner_steps, "of the truncation")
      ->check(CLI::Range(std::int64_t{1}, kMostSteps))
      ->capture_default_str();
  command
      ->add_option("--noise", options->noise,
                   "standard deviation of noise on θ: initial values of 0 can hide a wrong gradient")
      ->check(CLI::Range(0.0, 10.0))
      ->capture_default_str();
  command
      ->add_option("--tolerance", options->tolerance,
                   "largest difference, relative to the largest gradient of its parameter")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--seed", options->seed, "of data, φ, noise and directions")->capture_default_str();
  command->add_option("--json", options->json, "write the table to this file as JSON");
  return {command, [options] { return bench_gradient(*options); }};
}

}  // namespace

Command add_bench(CLI::App& app) {
  auto* command = app.add_subcommand(
      "bench", "Measures engines, the coordinator and gradient estimators; checks gradients.");
  command->require_subcommand(1);
  const std::vector<Command> commands = {add_engine(*command),      add_kernels(*command),
                                         add_coordinator(*command), add_unroll(*command),
                                         add_estimators(*command),  add_gradient(*command)};
  return {command, [commands] { return run_given(commands); }};
}

}  // namespace outerloop::cli
