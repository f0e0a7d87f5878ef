// The circle: a built-in rule, exported as TorchScript and loaded as a module, meta-trains as well as the
// built-in rule does on the same engine.
#include <cmath>
#include <cstdio>

#include "tests/catch.h"
#include "tests/cli/run_command.h"

using namespace outerloop::tests;
using nlohmann::json;

namespace {

constexpr int kTrained = 60;  // seconds of the module's run
constexpr int kPatience = 600;
constexpr int kLeastUpdates = 100;
/// Between the two runs' meta-objectives. The two draw different initial φ, so theirs differ by noise.
constexpr double kMargin = 0.03;
/// What both gain by training, at least.
constexpr double kGain = 0.1;

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
  const auto trained = [](const std::string& run, const std::string& arguments) {
    const auto finished = run_alone("train smoke --run-dir " + run + arguments, kPatience);
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    return read_json(run + "/result.json").at("updates").get<int>();
  };
  trained(start, set + "updates=1");
  REQUIRE(run_alone("export " + start + "/rule.h5 --torchscript " + file).exit_code == 0);
  const int updates = trained(module, set + "rule.name=torchscript" + set + "rule.path=" + file + set +
                                          "updates=0" + set + "seconds=" + std::to_string(kTrained));
  REQUIRE(updates >= kLeastUpdates);
  const int as_many =
      trained(built_in, " --init-theta " + start + "/rule.h5" + set + "engine.kind=reference" + set +
                            "updates=" + std::to_string(updates));
  CHECK(as_many == updates);

  const double before = mean_objective(built_in, 0.0, 20.0 / updates);
  const double ours = mean_objective(built_in, 0.75, 1.0), theirs = mean_objective(module, 0.75, 1.0);
  std::printf("%d updates: meta-objective %.4f at first; last quarter built-in %.4f, module %.4f\n", updates,
              before, ours, theirs);
  CHECK(ours < before - kGain);
  CHECK(theirs < before - kGain);
  CHECK(std::abs(ours - theirs) < kMargin);
}
