// outerloop figure: every figure from one command, with a rule that was trained for seconds.
#include <algorithm>

#include "tests/catch.h"
#include "tests/cli/run_command.h"

using namespace outerloop::tests;
using nlohmann::json;

namespace {

const TemporaryFolder& trained() {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    skip("Fashion-MNIST is not installed (Debian package dataset-fashion-mnist)");
  return smoke_run();
}

bool whole_png(const std::string& path) {
  const std::string bytes = read_text(path);
  return bytes.size() > 2000 && bytes.substr(1, 3) == "PNG" && bytes.substr(bytes.size() - 8, 4) == "IEND";
}

/// Runs `figure NAME` with two draws, on little data unless told otherwise; returns its JSON.
json drawn(const std::string& name, const std::string& flags, const std::string& dataset = "two_moons") {
  const std::string out = trained() / "figures";
  const auto finished =
      run_alone("figure " + name + " " + (trained() / "run/rule.h5") + " --dataset " + dataset +
                " --size 8 --draws 2 --threads 2 --inner-steps 3 " + flags + " --out " + out);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  CHECK(whole_png(out + "/" + name + ".png"));
  CHECK(read_text(out + "/" + name + ".svg").find("</svg>") != std::string::npos);
  CHECK(finished.out == out + "/" + name + ".json\n" + out + "/" + name + ".png\n" + out + "/" + name +
                            ".svg\n" + out + "/" + name + ".pdf\n");
  CHECK(read_text(out + "/" + name + ".pdf").rfind("%PDF-", 0) == 0);
  const json figure = read_json(out + "/" + name + ".json");
  CHECK(figure.at("figure") == name);
  CHECK(figure.at("update") == 20);
  CHECK(figure.at("theta") == "average");
  CHECK(figure.at("rule").get<std::string>().find("rule.h5") != std::string::npos);
  return figure;
}

void check_methods(const json& table, const std::vector<std::string>& methods) {
  std::vector<std::string> found;
  for (const auto& row : table.at("rows")) {
    const auto method = row.at("method").get<std::string>();
    if (found.empty() || found.back() != method) found.push_back(method);
    CHECK(row.at("readout") == "ridge");
    CHECK(row.at("ci95").is_number());
  }
  CHECK(found == methods);
}

void refuses(const std::string& arguments, const std::string& said) {
  INFO(arguments);
  const auto finished = run_alone("figure " + arguments);
  INFO(finished.err);
  CHECK(finished.exit_code == 2);
  CHECK(occurrences(finished.err, "\n") == 1);
  CHECK(finished.err.find(said) != std::string::npos);
}

const std::vector<std::string> kOwn = {"rule", "untrained", "random"};

}  // namespace

TEST_CASE("figures over steps, widths and depths have a row for each value") {
  const auto steps = drawn("steps", "--values 4,1,2 --minibatch 9");
  CHECK(steps.at("tables")[0].at("minibatch") == 9);
  CHECK(steps.at("training_horizon").get<int>() > 0);
  check_methods(steps.at("tables")[0], {"rule", "untrained", "random", "pixels"});
  const auto& rows = steps.at("tables")[0].at("rows");
  REQUIRE(rows.size() == 3 + 3 + 1 + 1);
  for (std::size_t i = 0; i < 6; ++i) CHECK(rows[i].at("steps") == (i % 3 == 0 ? 1 : i % 3 == 1 ? 2 : 4));
  CHECK_FALSE(rows[6].contains("steps"));

  const auto widths = drawn("widths", "--values 5,9");
  REQUIRE(widths.at("tables").size() == 2);
  check_methods(widths.at("tables")[1], kOwn);
  CHECK(widths.at("tables")[1].at("base_model") == "2-9-8");
  CHECK(widths.at("tables")[1].at("condition_value") == 9);
  CHECK(widths.at("trained") == json{{"min", 8}, {"max", 12}, {"label", "in meta-training"}});
  CHECK(read_text(trained() / "figures/widths.svg").find("in meta-training") != std::string::npos);

  const auto depths = drawn("depths", "--values 1,3");
  REQUIRE(depths.at("tables").size() == 2);
  CHECK(depths.at("tables")[1].at("base_model") == "2-10-10-10-8");
  CHECK(drawn("depths", "--values 2 --layers 9,5").at("tables")[0].at("base_model") == "2-9-9-8");
}

TEST_CASE("figures by non-linearity and permutation have a table for each") {
  const auto kinds = drawn("nonlinearities", "");
  std::string names;
  for (const auto& table : kinds.at("tables")) names += table.at("condition").get<std::string>() + " ";
  CHECK(names == "ReLU leaky ReLU Swish ELU tanh step ");
  CHECK(kinds.at("tables")[0].at("rows")[2].at("accuracy") !=
        kinds.at("tables")[4].at("rows")[2].at("accuracy"));
  const auto permutation = drawn("permutation", "");
  REQUIRE(permutation.at("tables").size() == 2);
  CHECK(permutation.at("tables")[0].at("condition") == "permuted");
  check_methods(permutation.at("tables")[1], kOwn);
}

TEST_CASE("filters, embeddings and explained variance are drawn") {
  const auto filters = drawn("filters", "", "fashion_mnist");
  REQUIRE(filters.at("panels").size() == 3);  // before, learned, untrained
  for (const auto& panel : filters.at("panels")) {
    REQUIRE(panel.at("filters").size() == 10);  // units of the middle of 8 to 12
    CHECK(panel.at("filters")[0].size() == 64);
  }
  CHECK(filters.at("panels")[0].at("filters") != filters.at("panels")[1].at("filters"));
  CHECK(filters.at("panels")[2].at("filters") != filters.at("panels")[1].at("filters"));

  const auto embeddings = drawn("embeddings", "--values 0,3");
  REQUIRE(embeddings.at("embeddings").size() == 1);
  const auto& moons = embeddings.at("embeddings")[0];
  CHECK(moons.at("dataset") == "two_moons");
  REQUIRE(moons.at("views").size() == 2);
  CHECK(moons.at("views")[1].at("points").size() == 1000);
  CHECK(moons.at("labels").size() == 1000);
  CHECK(moons.at("classes").size() == 2);
  CHECK(read_text(trained() / "figures/embeddings.svg")
            .find("\n" + moons.at("classes")[1].get<std::string>() + "\n") != std::string::npos);
  CHECK(moons.at("views")[0].at("points") != moons.at("views")[1].at("points"));

  const auto variance = drawn("explained-variance", "");
  REQUIRE(variance.at("curves").size() == 4);
  for (const auto& curve : variance.at("curves")) {
    const auto values = curve.at("cumulative").get<std::vector<double>>();
    CHECK(std::is_sorted(values.begin(), values.end()));
    CHECK(values.size() == (curve.at("method") == "pixels" ? 2 : 8));
  }
}

TEST_CASE("a VAE's loss falls, and is drawn beside its accuracy") {
  const auto decline = drawn("vae-decline", "--values 20,200");
  const auto& rows = decline.at("tables")[0].at("rows");
  REQUIRE(rows.size() == 3);
  CHECK(rows[2].at("loss").get<double>() < rows[1].at("loss").get<double>());
  // plot draws a figure again from its JSON.
  const auto again =
      run_alone("plot " + (trained() / "figures/vae-decline.json") + " --out " + (trained() / "again"));
  INFO(again.err);
  CHECK(again.exit_code == 0);
  CHECK(read_text(trained() / "again/vae-decline.svg") == read_text(trained() / "figures/vae-decline.svg"));
}

TEST_CASE("the figure of sizes has all baselines") {
  const auto sizes = drawn("sizes", "");
  REQUIRE(sizes.at("tables").size() == 1);
  check_methods(sizes.at("tables")[0], {"rule", "untrained", "random", "pixels", "pca", "kmeans", "vae",
                                        "masked_contrastive", "supervised"});
}

TEST_CASE("the figure of domains follows each run over its snapshots") {
  const std::string run = trained() / "run", rule = trained() / "run/rule.h5";
  std::filesystem::create_directories(trained() / "copy");
  const std::string copy = trained() / "copy/rule.h5";
  std::filesystem::copy_file(rule, copy, std::filesystem::copy_options::overwrite_existing);
  const auto domains = drawn("domains", copy + " " + run + " --dataset fashion_mnist --layers 8");
  CHECK(domains.at("runs") == json{rule, copy, run});
  REQUIRE(domains.at("datasets").size() == 2);
  for (const auto& dataset : domains.at("datasets")) {
    std::vector<std::string> baselines;
    for (const auto& row : dataset.at("baselines")) baselines.push_back(row.at("method"));
    CHECK(baselines == std::vector<std::string>{"random", "pixels", "pca", "kmeans"});
    const auto& curves = dataset.at("curves");
    REQUIRE(curves.size() == 3);
    REQUIRE(curves[0].at("points").size() == 1);  // a file
    CHECK(curves[0].at("run") == "run/rule");
    CHECK(curves[1].at("run") == "copy/rule");
    CHECK(curves[2].at("run") == "run");
    std::vector<std::int64_t> updates;
    for (const auto& point : curves[2].at("points")) updates.push_back(point.at("update"));
    CHECK(updates == std::vector<std::int64_t>{1, 3, 10, 20});
    // The last of the run is the rule itself.
    CHECK(curves[2].at("points").back().at("accuracy") == curves[0].at("points")[0].at("accuracy"));
    CHECK(curves[2].at("points").back().at("ci95").is_number());
  }
  // Both files have a line of their own in the legend.
  const auto drawing = read_text(trained() / "figures/domains.svg");
  for (const char* name : {"\nrun/rule\n", "\ncopy/rule\n", "\nrun\n"})
    CHECK(occurrences(drawing, name) == 1);
}

TEST_CASE("what cannot be drawn is refused with one line") {
  const std::string rule = trained() / "run/rule.h5";
  const std::string out = " --out " + (trained() / "refused");
  refuses("nothing " + rule + out, "there are sizes, steps, widths");
  refuses("steps /nowhere/rule.h5" + out, "/nowhere/rule.h5");
  refuses("steps " + rule + " --values 0,5" + out, "--values: 0");
  refuses("steps " + rule + " --size 8,14" + out, "takes one size");
  refuses("steps " + rule + " " + rule + out, "takes one rule, 2 were given");
  const TemporaryFolder bare;
  std::filesystem::copy_file(rule, bare / "rule.h5");
  refuses("domains " + rule + " " + bare.path().string() + out, "keeps no snapshots");
  refuses("widths " + rule + " --dataset two_moons --dataset fashion_mnist" + out, "takes one dataset");
  refuses("filters " + rule + " --dataset two_moons" + out, "not images");
  refuses("text " + rule + out, "--dataset imdb");
  refuses("text " + rule + " --dataset fashion_mnist" + out, "holds images");
  refuses("steps " + rule + " --out /dev/null/x", "/dev/null/x");
}
