// outerloop train from end to end, as a user runs it, at one and more ranks.
#include <algorithm>
#include <cmath>

#include "tests/catch.h"
#include "tests/cli/run_command.h"

using namespace outerloop::tests;
using nlohmann::json;

namespace {

/// A tiny rule on tiny tasks of glyphs that learns within seconds.
std::string learning_config() { return std::string(OUTERLOOP_TEST_DATA) + "/learning.textproto"; }

std::vector<json> metrics_of(const std::string& run) {
  std::vector<json> lines;
  std::istringstream text(read_text(run + "/metrics.jsonl"));
  for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
  return lines;
}

std::vector<std::int64_t> updates_of(const std::string& run) {
  std::vector<std::int64_t> updates;
  for (const auto& line : metrics_of(run))
    if (!line.contains("event")) updates.push_back(line.at("update").get<std::int64_t>());
  return updates;
}

/// Exit codes of all ranks, sorted.
std::string codes_of_all_ranks(int ranks, const std::string& arguments, std::string& err) {
  const TemporaryFolder folder;
  const std::string command = std::string("\"") + OUTERLOOP_MPIRUN + "\" -n " + std::to_string(ranks) +
                              " sh -c \"\\\"" + OUTERLOOP_EXECUTABLE + "\\\" " + arguments +
                              "; echo \\$? >> " + (folder / "codes") + "\"";
  const auto finished = run_shell(command);
  err = finished.err;
  std::istringstream text(read_text(folder / "codes"));
  std::vector<std::string> codes;
  for (std::string code; text >> code;) codes.push_back(code);
  std::sort(codes.begin(), codes.end());
  std::string joined;
  for (const auto& code : codes) joined += code;
  return joined;
}

}  // namespace

TEST_CASE("meta-training lowers the meta-objective from a fixed seed, at 1, 2 and 4 ranks") {
  for (const int ranks : {1, 2, 4}) {
    const TemporaryFolder folder;
    const std::string run = folder / "run";
    const auto finished = run_on_ranks(
        ranks, "train " + learning_config() + " --run-dir " + run + " --json " + (folder / "copy.json"));
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    const json result = read_json(run + "/result.json");
    CHECK(result == read_json(folder / "copy.json"));
    CHECK(result.at("stop_reason") == "updates");
    CHECK(result.at("updates") == 150);
    CHECK(result.at("gradients") == 600);
    CHECK(result.at("workers_lost") == 0);
    CHECK(result.at("meta_objective_last").get<double>() <
          result.at("meta_objective_first").get<double>() - 0.05);
    CHECK(result.at("theta_sha256").get<std::string>().size() == 64);
    CHECK(updates_of(run).size() == 150);
    for (const char* file : {"config.textproto", "environment.json", "rule.h5", "checkpoints/latest"})
      CHECK(std::filesystem::exists(run + "/" + file));
    const auto inspected = run_alone("inspect " + run + "/rule.h5 --json " + (folder / "inspect.json"));
    CHECK(inspected.exit_code == 0);
    CHECK(read_json(folder / "inspect.json").at("theta_sha256") == result.at("theta_sha256"));
  }
}

TEST_CASE("alone, the same seed gives the same bits, and another seed others") {
  const TemporaryFolder folder;
  const auto hash = [&](const std::string& name, const std::string& more) {
    const auto finished = run_alone("train smoke --run-dir " + (folder / name) + " " + more);
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    return read_json(folder / (name + "/result.json")).at("theta_sha256").get<std::string>();
  };
  const auto first = hash("a", "--set seed=3");
  CHECK(hash("b", "--set seed=3") == first);
  CHECK(hash("c", "--set seed=4") != first);
}

TEST_CASE("--set takes one value each time, wherever it stands") {
  const TemporaryFolder folder;
  const auto finished =
      run_alone("train --set updates=2 --set seed=7 smoke --run-dir " + (folder / "run") + " --set batch=3");
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  CHECK(read_json(folder / "run/result.json").at("gradients") == 6);
  CHECK(occurrences(read_text(folder / "run/config.textproto"), "seed: 7") == 1);
}

TEST_CASE("a resumed run goes on where the last one ended") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  REQUIRE(run_on_ranks(2, "train smoke --run-dir " + run).exit_code == 0);
  const json first = read_json(run + "/result.json");
  const auto again = run_on_ranks(2, "train smoke --run-dir " + run);
  CHECK(occurrences(again.err, "not empty") == 1);
  const auto resumed = run_on_ranks(2, "train --resume --run-dir " + run + " --set updates=35");
  INFO(resumed.err);
  REQUIRE(resumed.exit_code == 0);
  const json second = read_json(run + "/result.json");
  CHECK(second.at("updates") == 35);
  CHECK(second.at("gradients") == 35 * 4);
  CHECK(second.at("seconds").get<double>() > first.at("seconds").get<double>());
  const auto updates = updates_of(run);
  REQUIRE(updates.size() == 35);
  for (std::size_t i = 0; i < updates.size(); ++i) CHECK(updates[i] == static_cast<std::int64_t>(i) + 1);
  CHECK(metrics_of(run).front().at("segment") != metrics_of(run).back().at("segment"));
}

TEST_CASE("alone, a run that was cut in two ends at the bits of an unbroken one") {
  const TemporaryFolder folder;
  REQUIRE(run_alone("train smoke --run-dir " + (folder / "whole") + " --set updates=30").exit_code == 0);
  REQUIRE(run_alone("train smoke --run-dir " + (folder / "cut") + " --set updates=13").exit_code == 0);
  REQUIRE(run_alone("train --resume --run-dir " + (folder / "cut") + " --set updates=30").exit_code == 0);
  CHECK(read_json(folder / "whole/result.json").at("theta_sha256") ==
        read_json(folder / "cut/result.json").at("theta_sha256"));
}

TEST_CASE("estimators that keep their φ go on over a resume with the same noise") {
  const TemporaryFolder folder;
  std::string kind = " --set estimator.pairs=2 --set estimator.kind=";
  SECTION("summed") { kind += "persistent_evolution"; }
  SECTION("reused") { kind += "noise_reuse"; }
  REQUIRE(run_alone("train smoke --run-dir " + (folder / "whole") + " --set updates=12" + kind).exit_code ==
          0);
  REQUIRE(run_alone("train smoke --run-dir " + (folder / "cut") + " --set updates=7" + kind).exit_code == 0);
  REQUIRE(run_alone("train --resume --run-dir " + (folder / "cut") + " --set updates=12").exit_code == 0);
  CHECK(read_json(folder / "whole/result.json").at("theta_sha256") ==
        read_json(folder / "cut/result.json").at("theta_sha256"));
}

TEST_CASE("a damaged newest checkpoint is named and the one before it used") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  REQUIRE(run_alone("train smoke --run-dir " + run).exit_code == 0);
  std::filesystem::resize_file(run + "/checkpoints/000000020.h5", 5000);
  const auto resumed = run_alone("train --resume --run-dir " + run + " --set updates=25");
  INFO(resumed.err);
  CHECK(resumed.exit_code == 0);
  CHECK(occurrences(resumed.err, "000000020.h5") == 1);
  CHECK(updates_of(run).size() == 25);
}

TEST_CASE("what cannot run ends every rank with one line and exit 2") {
  const TemporaryFolder folder;
  const std::string run = " --run-dir " + (folder / "run");
  const struct {
    std::string arguments;
    std::string said;
  } cases[] = {
      {"train smoke --set updats=3" + run, "nearest known key"},
      {"train no-such-preset" + run, "neither a file nor a preset"},
      {"train smoke --set batch=0" + run, "batch = 0"},
      {"train smoke --no-such-flag" + run, "--no-such-flag"},
      {"train --resume" + run, "no run to resume"},
      {"train smoke --set device=cuda" + run, "cuda"},
      {"train smoke --set engine.precision=mixed --set engine.instruction_set=baseline" + run, "mixed"},
      {"train " + std::string(OUTERLOOP_TEST_DATA) + "/missing_dataset.textproto" + run, "/nowhere"},
      {"train " + std::string(OUTERLOOP_TEST_DATA) + "/overlap.textproto" + run, "glyphs"},
  };
  for (const auto& c : cases) {
    std::filesystem::remove_all(folder / "run");
    INFO(c.arguments);
    const auto alone = run_alone(c.arguments);
    INFO(alone.err);
    CHECK(alone.exit_code == 2);
    CHECK(occurrences(alone.err, "outerloop:") == 1);
    CHECK(alone.err.find(c.said) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(folder / "run"));
    std::string err;
    CHECK(codes_of_all_ranks(3, c.arguments, err) == "222");
    // Ranks here are children of shells, where each says by itself what is wrong with its flags.
    const bool before_mpi = c.said == "--no-such-flag";
    CHECK(occurrences(err, "outerloop:") == (before_mpi ? 3 : 1));
    CHECK_FALSE(std::filesystem::exists(folder / "run"));
  }
}

/// Reviews, half of them good; each word speaks for what the score says, or says nothing.
void write_reviews(const std::string& path) {
  const std::vector<std::string> good = {"great", "moving", "witty"}, bad = {"dull", "poor", "clumsy"},
                                 plain = {"the", "film", "plot", "scene", "music", "end"};
  std::ofstream table(path);
  for (int i = 0; i < 200; ++i) {
    const auto& telling = i % 2 == 0 ? good : bad;
    table << (i % 2 == 0 ? 7 + i % 4 : 1 + i % 4) << '\t';
    for (int word = 0; word < 12; ++word)
      table << (word % 3 == 0 ? telling[static_cast<std::size_t>((i + word) % 3)]
                              : plain[static_cast<std::size_t>((i * 7 + word * 5) % 6)])
            << ' ';
    table << '\n';
  }
}

TEST_CASE("texts with two classes train a rule by their scores, and are evaluated by their classes") {
  const TemporaryFolder folder;
  write_reviews(folder / "reviews.tsv");
  write_reviews(folder / "others.tsv");
  const std::string run = folder / "run";
  std::ofstream(folder / "text.textproto")
      << "updates: 6 batch: 4\n"
         "rule { hidden_channels: 4 top_channels: 4 delta_channels: 3 readout_channels: 2 hidden_blocks: 0 "
         "top_layers: 1 output_units: 8 }\n"
         "unroll { min_steps: 2 max_steps: 3 }\n"
         "tasks { dataset { name: \"reviews\" path: \""
      << (folder / "reviews.tsv")
      << "\" } size: 8 labelled_per_class: 5 minibatch: 16 max_hidden_layers: 1 min_width: 8 max_width: 12 "
         "min_inner_steps: 4 max_inner_steps: 8 cache_directory: \""
      << (folder / "cache") << "\" }\n";
  const auto trained = run_alone("train " + (folder / "text.textproto") + " --run-dir " + run);
  INFO(trained.err);
  REQUIRE(trained.exit_code == 0);
  // With two classes alone the objective would have no gradient.
  for (const auto& line : metrics_of(run))
    if (line.contains("gradient_norm")) CHECK(line.at("gradient_norm").get<double>() > 0.0);
  const auto evaluated =
      run_alone("evaluate " + run + "/rule.h5 --dataset reviews:" + (folder / "others.tsv") +
                " --labels 10 --draws 2 --inner-steps 4 --baselines pixels --readouts ridge --json " +
                (folder / "evaluation.json"));
  INFO(evaluated.err);
  REQUIRE(evaluated.exit_code == 0);
  const json evaluation = read_json(folder / "evaluation.json");
  for (const auto& row : evaluation.at("tables")[0].at("rows"))
    if (row.at("method") == "pixels") CHECK(row.at("accuracy").get<double>() > 0.9);
}

TEST_CASE("a run over domains says each one's meta-objective, evaluations and cosines") {
  const TemporaryFolder folder;
  write_reviews(folder / "reviews.tsv");
  const std::string run = folder / "run";
  std::ofstream(folder / "mixed.textproto")
      << "updates: 100 batch: 3\n"
         "rule { hidden_channels: 2 top_channels: 2 delta_channels: 2 readout_channels: 1 hidden_blocks: 0 "
         "top_layers: 1 output_units: 4 }\n"
         "unroll { min_steps: 1 max_steps: 1 }\n"
         "tasks { share { texts: 1 tables: 1 } dataset { name: \"reviews\" path: \""
      << (folder / "reviews.tsv")
      << "\" } dataset { name: \"two_moons\" } size: 8 labelled_per_class: 5 minibatch: 8 max_hidden_layers: "
         "1 "
         "min_width: 4 max_width: 4 min_inner_steps: 2 max_inner_steps: 4 cache_directory: \""
      << (folder / "cache") << "\" }\n"
      << "evaluation { every_updates: 50 tasks: 1 }\n";
  for (const std::string share : {"", " --set tasks.share.texts=0"}) {
    const auto trained = run_alone("train " + (folder / "mixed.textproto") + " --run-dir " + run + share);
    INFO(trained.err);
    if (!share.empty()) {
      CHECK(trained.exit_code == 2);
      CHECK(trained.err.find("tasks.dataset reviews: no share for its domain") != std::string::npos);
      continue;
    }
    REQUIRE(trained.exit_code == 0);
    json last;
    std::size_t evaluations = 0;
    for (const auto& line : metrics_of(run)) {
      if (line.contains("meta_objective_of_domain")) last = line;
      if (line.value("event", "") != "evaluation") continue;
      ++evaluations;
      REQUIRE(line.at("domains").size() == 2);
      CHECK(line.at("domains")[0].at("domain") == "texts");
      CHECK(line.at("domains")[1].at("domain") == "tables");
      CHECK(line.at("domains")[1].at("role") == "train");
      CHECK(line.at("domains")[1].at("accuracy") == line.at("datasets")[1].at("accuracy"));
    }
    CHECK(evaluations == 3);
    CHECK(last.at("update") == 100);
    CHECK(last.at("meta_objective_smooth_of_domain").size() == 2);
    for (const char* pair : {"texts", "tables", "texts-tables"})
      CHECK(std::abs(last.at("gradient_cosine_of_domain").at(pair).get<double>()) <= 1.0 + 1e-9);
    std::filesystem::remove_all(run);
  }
}

TEST_CASE("a process that no launcher started does without MPI") {
  const TemporaryFolder folder;
  const auto finished = run_shell("OMPI_MCA_pml=none_such OMPI_MCA_btl=none_such " + executable() +
                                  " train smoke --set updates=2 --run-dir " + (folder / "run"));
  INFO(finished.err);
  CHECK(finished.exit_code == 0);
  CHECK(read_json(folder / "run/environment.json").at("hosts").size() == 1);
}

TEST_CASE("the estimate at the start is near what the run then does") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  REQUIRE(run_alone("train smoke --set evaluation.every_updates=0 --set updates=500 --run-dir " + run)
              .exit_code == 0);
  const double estimate =
      read_json(run + "/environment.json").at("estimated_gradients_per_second").get<double>();
  const double measured = read_json(run + "/result.json").at("gradients_per_second").get<double>();
  INFO("estimated " << estimate << ", measured " << measured);
  // Other processes come and go between the two; undisturbed they are within 30 %.
  CHECK((estimate > measured / 3.0 && estimate < measured * 3.0));
}

TEST_CASE("a signal to any rank leads to a checkpoint, a line that says how to resume, and exit 0") {
  for (const int ranks : {1, 3}) {
    const TemporaryFolder folder;
    const std::string run = folder / "run";
    const std::string launcher =
        ranks == 1 ? "" : std::string("\"") + OUTERLOOP_MPIRUN + "\" -n " + std::to_string(ranks) + " ";
    const auto finished =
        run_shell(launcher + executable() + " train smoke --run-dir " + run +
                  " --set updates=100000 & for i in $(seq 100); do sleep 0.2; grep -q update.:3, " + run +
                  "/metrics.jsonl 2>/dev/null && break; done; pkill -TERM -n -f " + run + "; wait $!");
    INFO(finished.err);
    CHECK(finished.exit_code == 0);
    CHECK(read_json(run + "/result.json").at("stop_reason") == "signal");
    CHECK(finished.out.find("--resume --run-dir " + run) != std::string::npos);
  }
}

TEST_CASE("a rule's θ starts another run") {
  const TemporaryFolder folder;
  REQUIRE(run_alone("train smoke --run-dir " + (folder / "a")).exit_code == 0);
  const std::string init = " --init-theta " + (folder / "a/rule.h5");
  REQUIRE(run_alone("train smoke --run-dir " + (folder / "b") + init + " --set updates=1").exit_code == 0);
  CHECK(run_alone("inspect " + (folder / "a/rule.h5") + " " + (folder / "b/checkpoints/000000000.h5"))
            .exit_code == 0);
  const auto larger = run_alone("train smoke --run-dir " + (folder / "c") + init +
                                " --set updates=1 --set rule.hidden_channels=5 --set rule.output_units=16");
  CHECK(larger.exit_code == 0);
  CHECK(larger.out.find("in θ, from " + (folder / "a/rule.h5") + ", which has ") != std::string::npos);
  const auto other =
      run_alone("train smoke --run-dir " + (folder / "e") + init + " --set rule.hidden_channels=3");
  CHECK(other.exit_code == 2);
  CHECK(occurrences(other.err, "outerloop:") == 1);
  CHECK(other.err.find("hidden.in.w is [") != std::string::npos);
  CHECK(run_alone("train supervised_sgd --run-dir " + (folder / "d") + init)
            .err.find("set rule.name=neuron_local") != std::string::npos);
  CHECK(run_alone("train --resume --run-dir " + (folder / "a") + init).exit_code == 2);
}
