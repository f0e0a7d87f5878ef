// tasks.group from end to end: tasks side by side give the same bits from any number of workers and after a
// kill, and sizes that do not fit are refused at the start.
#include "common/store/files.h"
#include "tests/catch.h"
#include "tests/cli/process.h"

using namespace outerloop::tests;
using nlohmann::json;

namespace {

constexpr std::uint32_t kGroup = 3, kBatch = 4;

std::string train(const std::string& engine, std::int64_t updates, std::uint32_t group = kGroup) {
  return "train smoke --set mode=deterministic --set batch=" + std::to_string(kBatch) +
         " --set checkpoint.every_updates=5 --set tasks.group=" + std::to_string(group) +
         " --set engine.kind=" + engine + " --set updates=" + std::to_string(updates);
}

/// Kills rank 0 of a run once it has written `lines` lines of metrics.
void kill_at(std::int64_t lines, const std::string& arguments, const std::string& run) {
  std::vector<std::string> words = {OUTERLOOP_MPIRUN, "-n", "3", OUTERLOOP_EXECUTABLE};
  std::istringstream text(arguments + " --run-dir " + run);
  for (std::string word; text >> word;) words.push_back(word);
  const TemporaryFolder folder;
  Process process(words, folder / "out", folder / "err");
  REQUIRE(comes_true(60.0, [&] { return lines_of_metrics(run) >= lines || process.ended(); }));
  const pid_t coordinator = process_of_rank(run, 0);
  REQUIRE(coordinator > 0);
  REQUIRE(kill(coordinator, SIGKILL) == 0);
  REQUIRE(process.wait(60.0));
}

}  // namespace

TEST_CASE("lanes: the same bits of θ from one worker, two, and after a kill, with both engines") {
  for (const std::string engine : {"fused", "reference"}) {
    INFO(engine);
    const TemporaryFolder folder;
    const std::int64_t updates = engine == "fused" ? 150 : 40;
    const json alone = finished_run(folder / "alone", 1, train(engine, updates));
    CHECK(alone.at("updates") == updates);
    std::int64_t tasks = alone.at("gradients").get<std::int64_t>();
    for (const auto& cause : alone.at("refused")) tasks += cause.get<std::int64_t>();
    CHECK(tasks == updates * kBatch * kGroup);
    const json two = finished_run(folder / "two", 3, train(engine, updates));
    CHECK(bits(two) == bits(alone));
    CHECK(two.at("gradients") == alone.at("gradients"));
    CHECK(two.at("refused") == alone.at("refused"));
    kill_at(8, train(engine, updates) + " --set deadline_seconds=4", folder / "killed");
    const json resumed = finished_run(folder / "killed", 2, "train --resume");
    CHECK(bits(resumed) == bits(alone));
    const json single = finished_run(folder / "single", 1, train(engine, updates, 1));
    CHECK(bits(single) != bits(alone));
  }
}

TEST_CASE("checkpoints hold all lanes, and inspect lists them") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  finished_run(run, 3, train("fused", 5));
  const auto checkpoint = outerloop::store::read_checkpoint(run + "/checkpoints/000000005.h5");
  REQUIRE(checkpoint.streams.size() == kBatch);
  for (const auto& stream : checkpoint.streams) {
    REQUIRE(stream.lanes.size() == kGroup);
    for (const auto& lane : stream.lanes) CHECK(lane.phi.size() == stream.lanes.front().phi.size());
    CHECK((stream.lanes[0].permutation_seed >> 32) == std::uint64_t{stream.stream} * kGroup);
    CHECK((stream.lanes[2].permutation_seed >> 32) == std::uint64_t{stream.stream} * kGroup + 2);
  }
  const auto shown = run_alone("inspect " + run + "/checkpoints/000000005.h5");
  CHECK(shown.exit_code == 0);
  CHECK(occurrences(shown.out, " glyphs ") == int{kBatch * kGroup});
}

TEST_CASE("lanes with every estimator, and with the rule that trains on labels") {
  const TemporaryFolder folder;
  for (const std::string kind : {"evolution", "persistent_evolution", "noise_reuse"}) {
    const json result = finished_run(
        folder / kind, 1, "train smoke --set updates=4 --set tasks.group=2 --set estimator.kind=" + kind);
    CHECK(result.at("updates") == 4);
  }
  const json supervised = finished_run(
      folder / "supervised", 1,
      "train supervised_sgd --set updates=3 --set seconds=0 --set tasks.group=2 --set tasks.min_way=3");
  CHECK(supervised.at("updates") == 3);
}

TEST_CASE("a group whose streams do not fit a message is refused at the start, with the sizes") {
  const TemporaryFolder folder;
  const auto refused = run_on_ranks(
      2, "train smoke --set tasks.group=4096 --set tasks.max_width=4000 --run-dir " + (folder / "run"));
  CHECK(refused.exit_code == 2);
  CHECK(occurrences(refused.err, "outerloop: tasks.group = 4096: a stream takes up to") == 1);
  CHECK(occurrences(refused.err, "lower tasks.group to") == 1);
  CHECK_FALSE(std::filesystem::exists(folder / "run"));
}

TEST_CASE("a run with lanes does not go on with another number of them") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  finished_run(run, 1, train("fused", 2));
  const auto refused = run_alone("train --resume --set tasks.group=2 --run-dir " + run);
  CHECK(refused.exit_code == 2);
  CHECK(occurrences(refused.err, "'tasks.group' may not change when a run is resumed") == 1);
}

TEST_CASE("the preset gpu trains on the CPU, with small base models and its tasks side by side") {
  const TemporaryFolder folder;
  const std::string small =
      "train gpu --set device=cpu --set updates=2 --set batch=2 --set streams=2 --set tasks.group=4 --set "
      "rule.hidden_channels=4 --set rule.top_channels=4 --set rule.delta_channels=3 --set "
      "rule.readout_channels=2 --set rule.output_units=8 --set tasks.first.max_width=8 --set "
      "tasks.first.min_width=4 --set tasks.labelled_per_class=5 --set evaluation.every_updates=0";
  // Files of its datasets need not be on this machine.
  const std::string config = folder / "gpu.textproto";
  std::string text = read_text(std::string(OUTERLOOP_CONFIGS) + "/gpu.textproto");
  for (const char* line :
       {"  dataset { name: \"crops\" weight: 1 classes: train }\n",
        "  dataset { name: \"composites\" weight: 2 }\n", "  dataset { name: \"texts\" classes: train }\n",
        "  dataset { name: \"texts\" classes: held_out }\n", "  dataset { name: \"fashion_mnist\" }\n",
        "  dataset { name: \"crops\" classes: held_out }\n"}) {
    const auto at = text.find(line);
    REQUIRE(at != std::string::npos);
    text.erase(at, std::string(line).size());
  }
  std::ofstream(config) << text;
  std::string arguments = small;
  arguments.replace(arguments.find("gpu"), 3, config);
  const json result = finished_run(folder / "run", 2, arguments);
  CHECK(result.at("updates") == 2);
  CHECK(read_text(folder / "run/config.textproto").find("group: 4") != std::string::npos);
}
