// outerloop evaluate and plot, as a user runs them on a trained rule.
#include "tests/catch.h"
#include "tests/cli/run_command.h"

using namespace outerloop::tests;
using nlohmann::json;

namespace {

/// A folder with a run of the preset `smoke` in it, trained once.
const TemporaryFolder& trained() {
  static const TemporaryFolder folder;
  static const Finished finished = run_alone("train smoke --run-dir " + (folder / "run"));
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return folder;
}

void refuses(const std::string& arguments, const std::string& said) {
  INFO(arguments);
  const auto finished = run_alone("evaluate " + arguments);
  INFO(finished.err);
  CHECK(finished.exit_code == 2);
  CHECK(occurrences(finished.err, "outerloop:") == 1);
  CHECK(finished.err.find(said) != std::string::npos);
}

}  // namespace

TEST_CASE("evaluate prints and writes a table of every size, and plot draws it") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    skip("Fashion-MNIST is not installed (Debian package dataset-fashion-mnist)");
  const TemporaryFolder& folder = trained();
  const auto finished = run_alone("evaluate " + (folder / "run/rule.h5") +
                                  " --baselines all --draws 4 --inner-steps 5 --size 8,10 --json " +
                                  (folder / "run/evaluation.json"));
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  const json result = read_json(folder / "run/evaluation.json");
  CHECK(result.at("update") == 20);
  REQUIRE(result.at("tables").size() == 2);
  for (const auto& table : result.at("tables")) {
    CHECK(table.at("dataset") == "fashion_mnist");
    CHECK(table.at("labels_per_class") == 10);
    CHECK(table.at("inner_steps") == 5);
    CHECK(table.at("draws") == 4);
    CHECK(table.at("base_model").get<std::string>().find("-64-64-8") != std::string::npos);
    std::vector<std::string> methods;
    for (const auto& row : table.at("rows")) {
      methods.push_back(row.at("method"));
      CHECK(row.at("readout") == "ridge");
      CHECK(row.at("accuracy").get<double>() > 0.1);  // ten classes
      CHECK(row.at("accuracy").get<double>() < 1.0);
      CHECK(row.at("ci95").get<double>() > 0.0);
      CHECK(row.contains("minus_random"));
      CHECK(row.contains("minus_random_ci95"));
    }
    CHECK(methods == std::vector<std::string>{"rule", "untrained", "random", "pixels"});
    CHECK(table.at("rows")[3].at("accuracy").get<double>() >
          table.at("rows")[2].at("accuracy").get<double>());
  }
  CHECK(result.at("tables")[1].at("size") == 10);
  CHECK(occurrences(finished.out, "pixels") == 2);
  const auto plotted = run_alone("plot " + (folder / "run") + " --out " + (folder / "figures"));
  INFO(plotted.err);
  CHECK(plotted.exit_code == 0);
  for (const char* figure : {"learning_curve.png", "learning_curve.svg", "accuracy.png", "accuracy.svg"})
    CHECK(std::filesystem::file_size(folder / (std::string("figures/") + figure)) > 1000);
}

TEST_CASE("what cannot be evaluated is refused with one line") {
  const std::string rule = trained() / "run/rule.h5";
  refuses("/nowhere/rule.h5", "/nowhere/rule.h5");
  refuses(rule + " --dataset mnist:/nowhere", "/nowhere");
  refuses(rule + " --dataset no_such_data", "no_such_data");
  refuses(rule + " --draws 1", "--draws");
  refuses(rule + " --size 0", "size");
  refuses(rule + " --labels 70000 --dataset fashion_mnist", "70000");
  REQUIRE(run_alone("train supervised_sgd --set updates=1 --run-dir " + (trained() / "sgd")).exit_code == 0);
  refuses((trained() / "sgd/rule.h5"), "supervised_sgd");
}
