// outerloop data list and check, as a user runs them.
#include "tests/catch.h"
#include "tests/cli/run_command.h"
#include "tests/data/files.h"

using namespace outerloop::tests;
using nlohmann::json;

namespace {

/// The entry of a dataset in what --json wrote.
json entry(const std::string& path, const std::string& name) {
  const json result = read_json(path);
  for (const json& dataset : result.at("datasets"))
    if (dataset.at("name") == name) return dataset;
  FAIL("no entry for " + name);
  return {};
}

}  // namespace

TEST_CASE("data list names every dataset, where it is or how to bring it") {
  const TemporaryFolder folder;
  const auto listed = run_alone("data list --json \"" + (folder / "list.json") + "\"");
  CHECK(listed.exit_code == 0);
  CHECK(read_json(folder / "list.json").at("datasets").size() == 15);
  for (const char* name : {"fashion_mnist", "mnist", "cifar10", "glyphs", "crops", "composites", "folder",
                           "imdb", "reviews", "texts", "tables", "two_moons", "npy", "hdf5"})
    holds(listed.out, name);
  CHECK(entry(folder / "list.json", "two_moons").at("found") == true);
  const json cifar = entry(folder / "list.json", "cifar10");
  CHECK(cifar.at("found") == false);
  holds(cifar.at("message"), "data_batch_1.bin");
  holds(listed.out, "needs a path: give the folder that holds CIFAR-10");
}

TEST_CASE("data check counts examples and classes and names both sides of the class split") {
  const TemporaryFolder folder;
  write_file(folder / "cifar/test_batch.bin", cifar_bytes(20));
  const auto checked = run_alone("data check \"cifar10:" + (folder / "cifar") +
                                 "\" two_moons --size 8 --json \"" + (folder / "check.json") + "\"");
  CHECK(checked.exit_code == 0);
  const json cifar = entry(folder / "check.json", "cifar10");
  CHECK(cifar.at("ok") == true);
  CHECK(cifar.at("path") == std::filesystem::canonical(folder / "cifar").string());
  CHECK(cifar.at("examples") == 20);
  CHECK(cifar.at("classes") == 10);
  CHECK(cifar.at("inputs") == 64);
  const auto train = cifar.at("train_classes").get<std::vector<std::string>>();
  const auto held_out = cifar.at("held_out_classes").get<std::vector<std::string>>();
  CHECK(train.size() + held_out.size() == 10);
  CHECK(!held_out.empty());
  holds(checked.out, "20 examples of 8 x 8 pixels in 10 classes");
  holds(checked.out, "classes: held_out  " + std::to_string(held_out.size()) + ": " + held_out[0]);
  holds(checked.out, "4000 examples of 2 numbers in 2 classes, with scores");
}

TEST_CASE("data check tables: worlds of different widths are on one side of the class split each") {
  const TemporaryFolder folder;
  const auto checked = run_alone("data check tables --json \"" + (folder / "check.json") + "\"");
  CHECK(checked.exit_code == 0);
  const json tables = entry(folder / "check.json", "tables");
  CHECK(tables.at("classes") == 2000);
  CHECK(tables.at("groups") == 100);
  CHECK(tables.at("train_classes").size() + tables.at("held_out_classes").size() == 2000);
  CHECK(tables.at("held_out_classes").size() % 20 == 0);
  holds(checked.out, "of 8 to 199 numbers in 2000 classes of 100 worlds");
}

TEST_CASE("data check says which dataset is damaged or missing, goes on, and ends with 2") {
  const TemporaryFolder folder;
  write_file(folder / "x.npy", text_bytes("no array"));
  const auto checked = run_alone("data check \"npy:" + (folder / "x.npy") + "\" two_moons mnist --json \"" +
                                 (folder / "check.json") + "\"");
  CHECK(checked.exit_code == 2);
  const json npy = entry(folder / "check.json", "npy");
  CHECK(npy.at("ok") == false);
  CHECK(npy.at("examples") == 0);
  holds(npy.at("message"), "no NPY file");
  CHECK(entry(folder / "check.json", "two_moons").at("ok") == true);
  holds(entry(folder / "check.json", "mnist").at("message"), "no path");
  holds(checked.out, "NOT OK: " + (folder / "x.npy") + ": no NPY file");
}

TEST_CASE("data check prints the texts of a file on one line each") {
  const TemporaryFolder folder;
  write_file(folder / "t.csv", text_bytes("a,class\n1,\"u\n\x1B[2Jv\"\n2,w\n"));
  const auto checked = run_alone("data check \"csv:" + (folder / "t.csv") + "\"");
  CHECK(checked.exit_code == 0);
  holds(checked.out, "u\\n\\x1b[2Jv");
  CHECK(checked.out.find('\x1B') == std::string::npos);
  write_file(folder / "t.csv", text_bytes("a,\"u\n\x1B[2Jv\"\n1,\n"));
  const auto refused = run_alone("data check \"csv:" + (folder / "t.csv") + "\"");
  CHECK(refused.exit_code == 2);
  CHECK(refused.out.find('\x1B') == std::string::npos);
  CHECK(occurrences(refused.out, "\n") == 2);
}

TEST_CASE("data check says what was passed over, and the range of each class") {
  const TemporaryFolder folder;
  write_file(folder / "p/a/1.png", encode_png({30, 30, Bytes(900, 7)}));
  write_file(folder / "p/b/1.png", encode_png({30, 30, Bytes(900, 200)}));
  write_file(folder / "p/b/2.gif", {'G'});
  write_file(folder / "p/.cache/1.png", encode_png({30, 30, Bytes(900, 0)}));
  const auto checked =
      run_alone("data check \"folder:" + (folder / "p") + "\" --json \"" + (folder / "check.json") + "\"");
  CHECK(checked.exit_code == 0);
  holds(checked.out, "warning: folder: passed over 1 .gif file in ");
  const json pictures = entry(folder / "check.json", "folder");
  CHECK(pictures.at("warnings").size() == 1);
  const json expected = {{{"name", "a"}, {"examples", 1}, {"min", 7.0}, {"max", 7.0}},
                         {{"name", "b"}, {"examples", 1}, {"min", 200.0}, {"max", 200.0}}};
  CHECK(pictures.at("per_class") == expected);
}

TEST_CASE("a run on data in which nothing varies says so once before it begins") {
  const TemporaryFolder folder;
  Bytes labels;
  for (int i = 0; i < 60; ++i) labels.push_back(static_cast<std::uint8_t>(i % 4));
  write_file(folder / "x.npy", npy_bytes("|u1", "(60, 9)", Bytes(540, 3)));
  write_file(folder / "x.labels.npy", npy_bytes("|u1", "(60,)", labels));
  // As Notepad saves it.
  write_file(
      folder / "my.textproto",
      text_bytes("\xEF\xBB\xBFupdates: 2\r\nbatch: 2\r\n"
                 "rule { hidden_channels: 4 top_channels: 4 delta_channels: 3 readout_channels: 2 "
                 "hidden_blocks: 0 top_layers: 1 output_units: 8 }\r\n"
                 "tasks { dataset { name: \"npy\" path: \"" +
                 (folder / "x.npy") +
                 "\" } min_way: 3 max_way: 3 labelled_per_class: 5 minibatch: 8 max_width: 12 min_width: 8 "
                 "min_inner_steps: 2 max_inner_steps: 4 }\r\n"));
  const auto trained = run_alone("train " + (folder / "my.textproto") + " --run-dir " + (folder / "run"));
  INFO(trained.err);
  CHECK(trained.exit_code == 0);
  CHECK(occurrences(trained.err, "all 60 examples are equal") == 1);
}

TEST_CASE("data commands that cannot be are refused in one line") {
  for (const char* arguments : {"data", "data bring", "data check cifar100", "data check --size 0"}) {
    const auto refused = run_alone(arguments);
    CHECK(refused.exit_code == 2);
    CHECK(occurrences(refused.err, "\n") == 1);
  }
  holds(run_alone("data check cifar100").err, "is not known: take one of fashion_mnist");
}
