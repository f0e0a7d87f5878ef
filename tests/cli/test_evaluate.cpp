// outerloop evaluate and plot, as a user runs them on a trained rule.
#include <fstream>

#include "tests/catch.h"
#include "tests/cli/run_command.h"

using namespace outerloop::tests;
using nlohmann::json;

namespace {

void refuses(const std::string& arguments, const std::string& said) {
  INFO(arguments);
  const auto finished = run_alone("evaluate " + arguments);
  INFO(finished.err);
  CHECK(finished.exit_code == 2);
  CHECK(occurrences(finished.err, "outerloop:") == 1);
  CHECK(finished.err.find(said) != std::string::npos);
}

const std::vector<std::string> kReadouts = {"ridge", "logistic", "nearest_mean", "knn5"};

/// One table of Fashion-MNIST with two draws: a row per method and read-out, in that order.
void check_table(const json& table, const std::vector<std::string>& methods) {
  CHECK(table.at("dataset") == "fashion_mnist");
  CHECK(table.at("labels_per_class") == 10);
  CHECK(table.at("inner_steps") == 5);
  CHECK(table.at("draws") == 2);
  CHECK(table.at("base_model").get<std::string>().find("-10-8") != std::string::npos);
  CHECK(table.at("unlabelled_examples") == 60000);
  CHECK(table.at("test_examples") == 5000);
  const auto& rows = table.at("rows");
  REQUIRE(rows.size() == methods.size() * kReadouts.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    INFO(row.dump());
    CHECK(row.at("method") == methods[i / kReadouts.size()]);
    CHECK(row.at("readout") == kReadouts[i % kReadouts.size()]);
    CHECK(row.at("accuracy").get<double>() > 0.1);  // ten classes
    CHECK(row.at("accuracy").get<double>() < 1.0);
    CHECK(row.at("ci95").get<double>() > 0.0);
    CHECK(row.at("lambda").is_null() == (i % kReadouts.size() >= 2));
    CHECK(row.contains("minus_random"));
    CHECK(row.contains("minus_random_ci95"));
    CHECK(row.at("accuracy_by_draw").size() == 2);
    CHECK(row.at("rule_minus").get<double>() ==
          Approx(rows[i % kReadouts.size()].at("accuracy").get<double>() - row.at("accuracy").get<double>())
              .margin(1e-12));
  }
}

/// The table of an evaluation of a run's rule on Fashion-MNIST with these flags.
json table_of(const TemporaryFolder& folder, const std::string& flags) {
  const std::string json_file = folder / "small.json";
  const auto finished =
      run_alone("evaluate " + (folder / "run/rule.h5") + " --draws 2 " + flags + " --json " + json_file);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return read_json(json_file).at("tables")[0];
}

json small_table(const std::string& flags) {
  return table_of(smoke_run(), "--inner-steps 2 --size 8 " + flags);
}

}  // namespace

TEST_CASE("evaluate prints and writes a table of every size, and plot draws it") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    skip("Fashion-MNIST is not installed (Debian package dataset-fashion-mnist)");
  const TemporaryFolder& folder = smoke_run();
  const std::vector<std::string> baselines = {"untrained", "pixels", "pca", "kmeans"};
  std::string chosen;
  for (const auto& baseline : baselines) chosen += (chosen.empty() ? "" : ",") + baseline;
  const auto finished = run_alone("evaluate " + (folder / "run/rule.h5") +
                                  " --draws 2 --inner-steps 5 --size 8,10 --baselines " + chosen +
                                  " --json " + (folder / "run/evaluation.json"));
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  const json result = read_json(folder / "run/evaluation.json");
  CHECK(result.at("update") == 20);
  REQUIRE(result.at("tables").size() == 2);
  std::vector<std::string> methods = baselines;
  methods.insert(methods.begin(), "rule");
  methods.insert(methods.begin() + 2, "random");
  for (const auto& table : result.at("tables")) {
    check_table(table, methods);
    // Pixels, components and centroids are well above a network that nothing has trained.
    for (std::size_t method = 3; method < methods.size(); ++method)
      CHECK(table.at("rows")[method * kReadouts.size()].at("minus_random").get<double>() > 0.0);
  }
  CHECK(result.at("tables")[1].at("size") == 10);
  CHECK(occurrences(finished.out, "pixels") == 2 * 4);
  const auto plotted = run_alone("plot " + (folder / "run") + " --out " + (folder / "figures"));
  INFO(plotted.err);
  CHECK(plotted.exit_code == 0);
  // Without --out figures go into the run.
  for (const char* of_run : {"run", "run/evaluation.json"}) {
    const auto beside = run_alone("plot " + (folder / of_run));
    CHECK(beside.out.find(folder / "run/figures/accuracy.png") != std::string::npos);
  }
  for (const char* figure :
       {"learning_curve.png", "learning_curve.svg", "accuracy.png", "accuracy.svg", "accuracy.pdf"})
    CHECK(std::filesystem::file_size(folder / (std::string("figures/") + figure)) > 1000);
}

TEST_CASE("an evaluation says which classes it holds, and warns of those that the rule was trained on") {
  const TemporaryFolder folder;
  std::ofstream(folder / "c.textproto")
      << "updates: 1 batch: 1 rule { hidden_channels: 4 top_channels: 4 "
         "delta_channels: 3 readout_channels: 2 hidden_blocks: 0 top_layers: 1 "
         "output_units: 8 } unroll { min_steps: 2 max_steps: 2 } tasks { "
         "dataset { name: \"glyphs\" classes: train } size: 8 min_way: 3 "
         "max_way: 4 labelled_per_class: 5 minibatch: 16 max_hidden_layers: 1 "
         "min_width: 8 max_width: 8 min_inner_steps: 4 max_inner_steps: 4 }\n";
  const auto trained = run_alone("train " + (folder / "c.textproto") + " --run-dir " + (folder / "run"));
  INFO(trained.err);
  REQUIRE(trained.exit_code == 0);
  const auto evaluated = [&](const std::string& dataset) {
    auto finished = run_alone("evaluate " + (folder / "run/rule.h5") + " --dataset " + dataset +
                              " --size 8 --draws 2 --labels 2 --inner-steps 2 --baselines pixels --readouts "
                              "ridge --json " +
                              (folder / "e.json"));
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    const std::string name = read_json(folder / "e.json").at("tables")[0].at("dataset");
    CHECK(finished.out.find("\n" + name + (name == "two_moons" ? "," : " at 8x8")) != std::string::npos);
    CHECK(occurrences(finished.out, "raw inputs") == (name == "two_moons" ? 1 : 0));
    return std::make_pair(name, finished.err);
  };
  const auto [all, of_all] = evaluated("glyphs");
  CHECK(all == "glyphs");
  CHECK(of_all.find("outerloop: glyphs: the rule was trained on ") != std::string::npos);
  CHECK(of_all.find("; glyphs:held_out selects only the other ") != std::string::npos);
  CHECK(occurrences(of_all, "\n") == 1);
  const auto [held_out, of_held_out] = evaluated("glyphs:held_out");
  CHECK(held_out == "glyphs:held_out");
  CHECK(of_held_out.empty());
  const auto [train, of_train] = evaluated("glyphs:train");
  CHECK(train == "glyphs:train");
  CHECK(of_train.find("this is not accuracy on held-out classes") != std::string::npos);
  const auto [moons, of_moons] = evaluated("two_moons");
  CHECK(of_moons.empty());
  CHECK(moons == "two_moons");
}

TEST_CASE("a rule that trains on labels is judged on new tasks, beside tuned optimizers") {
  const TemporaryFolder folder;
  const std::string rule = folder / "run/rule.h5";
  REQUIRE(run_alone("train supervised_sgd --set updates=150 --run-dir " + (folder / "run")).exit_code == 0);
  const auto finished =
      run_alone("evaluate " + rule + " --draws 12 --theta last --json " + (folder / "e.json"));
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  CHECK(finished.out.find("training tasks: 12 new tasks, meta-trained for 20 inner steps at most") !=
        std::string::npos);
  CHECK(finished.out.find("20 inner steps (1x)") != std::string::npos);
  CHECK(finished.out.find("200 inner steps (10x)") != std::string::npos);
  const json result = read_json(folder / "e.json");
  const auto at_horizon = [&](const std::string& method) {
    for (const auto& row : result.at("tables")[0].at("rows"))
      if (row.at("method") == method && row.at("steps") == 20) return row;
    FAIL(method);
    return json();
  };
  const double untrained = at_horizon("untrained").at("loss");
  for (const char* method : {"rule", "sgd", "momentum", "adam"}) {
    INFO(method);
    CHECK(at_horizon(method).at("loss").get<double>() < 0.6 * untrained);
    CHECK(at_horizon(method).at("accuracy").get<double>() > 0.5);  // five classes
  }
  // The learned rule is about as good as the best of the tuned ones at the horizon that it was trained for.
  CHECK(at_horizon("rule").at("loss").get<double>() < 1.5 * at_horizon("sgd").at("loss").get<double>());
  const auto drawn = run_alone("plot " + (folder / "e.json") + " --out " + (folder / "figures"));
  INFO(drawn.err);
  CHECK(drawn.exit_code == 0);
  const auto svg = read_text(folder / "figures/steps.svg");
  for (const char* text :
       {"Adam", "SGD with momentum", "Cross-entropy on new tasks, nats", "inner steps, on labels"})
    CHECK(svg.find(text) != std::string::npos);
  const auto figure = run_alone("figure steps " + rule + " --draws 2");
  INFO(figure.err);
  CHECK(figure.exit_code == 0);
  CHECK(std::filesystem::exists(folder / "run/figures/steps.pdf"));
  const auto of_glyphs = run_alone("evaluate " + rule + " --draws 2 --dataset glyphs:held_out");
  INFO(of_glyphs.err);
  CHECK(of_glyphs.exit_code == 0);
  CHECK(of_glyphs.out.find("glyphs:held_out at 8x8: 2 new tasks") != std::string::npos);
  refuses(rule + " --layers 5", "--layers: is for rules without labels");
  const auto widths = run_alone("figure widths " + rule);
  CHECK(widths.exit_code == 2);
  CHECK(widths.err.find("this is supervised_sgd") != std::string::npos);
  refuses((folder / "run/rule.h5") + " --features 32", "only neuron_local");
}

TEST_CASE("a rule from elsewhere chooses neither the cache nor the files that are read") {
  const TemporaryFolder folder;
  const std::string cache = folder / "cache", run = folder / "run", pictures = folder / "nowhere";
  std::filesystem::create_directories(pictures);
  const auto trained =
      run_alone("train smoke --run-dir " + run + " --set updates=1 --set tasks.cache_directory=" + cache +
                " --set evaluation.every_updates=0");
  INFO(trained.err);
  REQUIRE(trained.exit_code == 0);
  std::filesystem::remove_all(cache);
  const std::string config = read_text(run + "/config.textproto");
  CHECK(config.find(cache) != std::string::npos);
  const std::string elsewhere = folder / "from-somebody.h5";
  std::filesystem::copy_file(run + "/rule.h5", elsewhere);
  const std::string few = " --draws 2 --inner-steps 2 --size 8 --baselines none --dataset glyphs";
  const auto foreign = run_alone("evaluate " + elsewhere + few);
  INFO(foreign.err);
  CHECK_FALSE(std::filesystem::exists(cache));
  // In the run's own directory nothing changes.
  run_alone("evaluate " + run + "/rule.h5" + few);
  CHECK(std::filesystem::exists(cache));
}

TEST_CASE("evaluate opens no path that only a rule from elsewhere names") {
  const TemporaryFolder folder;
  const std::string run = folder / "run", data = folder / "rows.npy";
  std::ofstream(data) << "no array";
  const auto trained =
      run_alone("train smoke --run-dir " + run + " --set updates=1 --set evaluation.every_updates=0" +
                " --set evaluation.dataset.name=npy --set evaluation.dataset.path=" + data);
  INFO(trained.err);
  REQUIRE(trained.exit_code == 0);
  const std::string elsewhere = folder / "from-somebody.h5";
  std::filesystem::copy_file(run + "/rule.h5", elsewhere);
  refuses(elsewhere, "give the data to read: --dataset npy:PATH");
  refuses(run + "/rule.h5", data);  // its own: the file is read, and is none
}

TEST_CASE("evaluate has all baselines unless told otherwise") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    skip("Fashion-MNIST is not installed (Debian package dataset-fashion-mnist)");
  const TemporaryFolder& folder = smoke_run();
  const auto finished = run_alone("evaluate " + (folder / "run/rule.h5") +
                                      " --draws 2 --inner-steps 5 --size 8 --json " + (folder / "all.json"),
                                  400);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  const json result = read_json(folder / "all.json");
  REQUIRE(result.at("tables").size() == 1);
  check_table(result.at("tables")[0], {"rule", "untrained", "random", "pixels", "pca", "kmeans", "vae",
                                       "masked_contrastive", "supervised"});
}

TEST_CASE("baselines and read-outs are chosen by name") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    skip("Fashion-MNIST is not installed (Debian package dataset-fashion-mnist)");
  const auto methods = [](const std::string& flags) {
    const json table = small_table(flags);
    std::string names;
    for (const auto& row : table.at("rows"))
      names += row.at("method").get<std::string>() + "/" + row.at("readout").get<std::string>() + " ";
    return names;
  };
  CHECK(methods("--baselines none --readouts knn5") == "rule/knn5 random/knn5 ");
  CHECK(methods("--baselines pca,pixels --readouts nearest_mean,ridge") ==
        "rule/ridge rule/nearest_mean random/ridge random/nearest_mean pixels/ridge pixels/nearest_mean "
        "pca/ridge pca/nearest_mean ");
}

TEST_CASE("the base model is the one that was asked for") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    skip("Fashion-MNIST is not installed (Debian package dataset-fashion-mnist)");
  const auto base_model = [](const std::string& flags) {
    return small_table("--baselines none --readouts ridge " + flags).at("base_model").get<std::string>();
  };
  CHECK(base_model("") == "64-10-8");
  CHECK(base_model("--layers 48") == "64-48-8");
  CHECK(base_model("--layers 12,20,9") == "64-12-20-9-8");
  CHECK(base_model("--features 24") == "64-10-24");
  refuses((smoke_run() / "run/rule.h5") + " --layers 0", "--layers");
}

TEST_CASE("a base model that is not asked for is what the rule's configuration says") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    skip("Fashion-MNIST is not installed (Debian package dataset-fashion-mnist)");
  const std::string flags = "--baselines none --readouts ridge";
  const auto table = table_of(wide_run(), flags);
  CHECK(table.at("base_model") == "64-9-9-9-8");
  CHECK(table.at("inner_steps") == 10);
  CHECK(table.at("minibatch") == 16);
  CHECK(table_of(wide_run(), flags + " --layers 12").at("base_model") == "64-12-8");
}

TEST_CASE("the minibatch is the one that was asked for") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    skip("Fashion-MNIST is not installed (Debian package dataset-fashion-mnist)");
  const std::string few = "--baselines none --readouts ridge ";
  const json as_trained = small_table(few), larger = small_table(few + "--minibatch 48");
  CHECK(as_trained.at("minibatch") == 16);
  CHECK(larger.at("minibatch") == 48);
  CHECK(small_table(few + "--minibatch 16").at("rows") == as_trained.at("rows"));
  CHECK(larger.at("rows")[0] != as_trained.at("rows")[0]);  // the rule saw other examples
  // Random initialisation sees no examples; only how far the rule is ahead of it differs.
  const auto without_rule = [](json row) {
    CHECK(row.erase("rule_minus") + row.erase("rule_minus_ci95") == 2);
    return row;
  };
  CHECK(without_rule(larger.at("rows")[1]) == without_rule(as_trained.at("rows")[1]));
  refuses((smoke_run() / "run/rule.h5") + " --minibatch 1", "--minibatch");
}

TEST_CASE("what cannot be evaluated is refused with one line") {
  const std::string rule = smoke_run() / "run/rule.h5";
  refuses("/nowhere/rule.h5", "/nowhere/rule.h5");
  refuses(rule + " --dataset mnist:/nowhere", "/nowhere");
  refuses(rule + " --dataset no_such_data", "no_such_data");
  refuses(rule + " --draws 1", "--draws");
  refuses(rule + " --size 0", "size");
  refuses(rule + " --baselines autoencoder", "autoencoder");
  refuses(rule + " --baselines all,pca", "stand alone");
  refuses(rule + " --readouts svm", "svm");
  refuses(rule + " --labels 70000 --dataset fashion_mnist", "70000");
  refuses(rule + " --features 12", "was trained with 8; give a multiple, e.g. 16");
}
