// A thousand truncations by the engine of a configuration: memory stays flat and steps do not get slower.
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "common/config/settings.h"
#include "common/rule/engines/make_engine.h"
#include "common/rule/phi.h"
#include "common/rule/random.h"
#include "common/rule/theta.h"
#include "tests/catch.h"
#include "tests/cli/run_command.h"

using namespace outerloop;

namespace {

constexpr int kTruncations = 1000;
constexpr int kWindow = 100;
constexpr double kMostDrift = 0.03;
constexpr double kMostGrowth = 0.02;

/// Seconds of processor time of this process: others on the machine do not count.
double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double resident_mib() {
  std::istringstream text(tests::read_text("/proc/self/statm"));
  long pages = 0;
  text >> pages >> pages;
  return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

rule::Batch random_batch(std::int64_t examples, std::int64_t inputs, std::int64_t classes,
                         const rule::Random& random) {
  rule::Batch batch;
  batch.examples = examples;
  batch.inputs = inputs;
  batch.targets = classes;
  batch.y.resize(static_cast<std::size_t>(examples * classes));
  for (std::int64_t i = 0; i < examples * inputs; ++i)
    batch.x.push_back(random.uniform(static_cast<std::uint32_t>(i)));
  for (std::int64_t i = 0; i < examples; ++i)
    batch.y[static_cast<std::size_t>(i * classes + i % classes)] = 1.0;
  return batch;
}

/// Inner steps of one base model, the largest of the configuration's, always the same.
std::vector<rule::StepData> steps_of(const config::Settings& settings) {
  const auto& tasks = settings.config.tasks();
  const std::int64_t inputs = tasks.size() * tasks.size(), classes = tasks.max_way();
  const auto batch = [&](std::int64_t examples, std::uint32_t number) {
    return random_batch(examples, inputs, classes, rule::Random(1, number, 0, rule::Purpose::minibatch));
  };
  std::vector<rule::StepData> steps;
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(settings.config.unroll().max_steps()); ++i)
    steps.push_back({batch(tasks.minibatch(), 3 * i), batch(classes * tasks.labelled_per_class(), 3 * i + 1),
                     batch(classes * tasks.labelled_per_class(), 3 * i + 2)});
  return steps;
}

double median_of(const std::vector<double>& values, std::size_t first) {
  std::vector<double> window(values.begin() + static_cast<std::ptrdiff_t>(first),
                             values.begin() + static_cast<std::ptrdiff_t>(first + kWindow));
  std::nth_element(window.begin(), window.begin() + kWindow / 2, window.end());
  return window[kWindow / 2];
}

}  // namespace

TEST_CASE("memory is flat and the step time does not drift over a thousand truncations") {
  const char* wish = std::getenv("OUTERLOOP_ENDURANCE_CONFIG");
  const auto settings = config::read_settings(wish != nullptr ? wish : "laptop", {});
  const auto engine = rule::make_engine(settings.rule, settings.engine);
  const auto& tasks = settings.config.tasks();
  rule::Architecture architecture;
  architecture.units = {tasks.size() * tasks.size(), tasks.max_width(), tasks.max_width(),
                        settings.config.rule().output_units()};
  const auto theta = rule::initial_theta(engine->theta_layout(), 1);
  const auto phi = rule::initial_phi(rule::phi_layout(settings.rule, architecture), 1, 0, 0);
  const auto steps = steps_of(settings);

  std::vector<double> seconds, resident;
  for (int i = 0; i < kWindow + kTruncations; ++i) {  // the first hundred warm up
    const double start = processor_seconds();
    const auto result = engine->truncation(architecture, theta, phi, steps);
    REQUIRE(result.outcome == rule::Outcome::finished);
    if (i < kWindow) continue;
    seconds.push_back(processor_seconds() - start);
    resident.push_back(resident_mib());
  }
  const double first = median_of(seconds, 0), last = median_of(seconds, kTruncations - kWindow);
  const double growth = resident.back() / resident.front() - 1.0;
  std::printf(
      "%s: %.2f ms per truncation at first, %.2f ms at last (%+.2f %%); resident %.1f MiB, then %.1f MiB\n",
      engine->description().c_str(), 1e3 * first, 1e3 * last, 100.0 * (last / first - 1.0), resident.front(),
      resident.back());
  CHECK(last < first * (1.0 + kMostDrift));
  CHECK(growth < kMostGrowth);
}
