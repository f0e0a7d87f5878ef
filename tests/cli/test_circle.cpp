// The circle: a built-in rule, exported as TorchScript and loaded as a module, meta-trains as well as the
// built-in rule does on the same engine.
#include <cmath>
#include <cstdio>

#include "tests/catch.h"
#include "tests/cli/run_command.h"

using namespace outerloop::tests;
using nlohmann::json;

namespace {

constexpr int kUpdates = 400;  // two minutes of a busy core by the module, one by the built-in rule
constexpr int kPatience = 600;
/// Between the two runs' meta-objectives. The two draw different initial φ, so theirs differ by noise.
constexpr double kMargin = 0.05;
/// What both gain by training, at least.
constexpr double kGain = 0.08;

/// Mean meta-objective over the updates of one share of a run.
double mean_objective(const std::string& run, double from, double to) {
  std::ifstream stream(run + "/metrics.jsonl");
  std::vector<double> values;
  for (std::string line; std::getline(stream, line);) {
    const json record = json::parse(line);
    if (record.contains("meta_objective") && !record.contains("event"))
      values.push_back(record.at("meta_objective").get<double>());
  }
  const auto count = static_cast<double>(values.size());
  const auto first = static_cast<std::size_t>(from * count), last = static_cast<std::size_t>(to * count);
  REQUIRE(last > first);
  double sum = 0.0;
  for (std::size_t i = first; i < last; ++i) sum += values[i];
  return sum / static_cast<double>(last - first);
}

}  // namespace

TEST_CASE("a rule that was exported and loaded as a module meta-trains as well as the built-in one") {
  const TemporaryFolder folder;
  const std::string start = folder / "start", module = folder / "module", built_in = folder / "built_in";
  const std::string file = folder / "rule.pt", set = " --set ";
  const auto trained = [](const std::string& run, int updates, const std::string& arguments) {
    const auto finished = run_alone(
        "train smoke --run-dir " + run +
            " --set optimizer.learning_rate=1e-2 --set updates=" + std::to_string(updates) + arguments,
        kPatience);
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
  };
  trained(start, 1, "");
  REQUIRE(run_alone("export " + start + "/rule.h5 --torchscript " + file).exit_code == 0);
  trained(module, kUpdates, set + "rule.name=torchscript" + set + "rule.path=" + file);
  trained(built_in, kUpdates, " --init-theta " + start + "/rule.h5" + set + "engine.kind=reference");

  const double before = mean_objective(built_in, 0.0, 0.1);
  const double ours = mean_objective(built_in, 0.5, 1.0), theirs = mean_objective(module, 0.5, 1.0);
  std::printf("meta-objective %.4f in the first tenth; in the second half built-in %.4f, module %.4f\n",
              before, ours, theirs);
  CHECK(ours < before - kGain);
  CHECK(theirs < before - kGain);
  CHECK(std::abs(ours - theirs) < kMargin);
}
