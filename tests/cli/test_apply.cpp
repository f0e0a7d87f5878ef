// outerloop apply on arrays that the test makes.
#include <cmath>
#include <fstream>
#include <limits>

#include "common/data/npy.h"
#include "tests/catch.h"
#include "tests/cli/run_command.h"

using namespace outerloop;
using namespace outerloop::tests;

namespace {

/// 60 examples of 5 inputs in different units.
rule::Matrix example_array() {
  rule::Matrix x(60, 5);
  for (std::int64_t i = 0; i < 60; ++i)
    for (std::int64_t j = 0; j < 5; ++j)
      x.row(i)[j] = static_cast<float>((i * (2 * j + 3) + 7 * j) % 17) * (j == 2 ? 1000.0f : 1.0f);
  return x;
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream stream(path, std::ios::binary);
  stream << bytes;
}

Finished run_apply(const std::string& input, const std::string& output, const std::string& flags = "",
                   const TemporaryFolder& by = smoke_run()) {
  return run_alone("apply " + (by / "run/rule.h5") + " --input " + input + " --output " + output +
                   " --inner-steps 4 " + flags);
}

data::Array applied(const std::string& input, const std::string& flags,
                    const TemporaryFolder& by = smoke_run()) {
  const std::string output = by / "features.npy";
  const auto finished = run_apply(input, output, flags, by);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  CHECK(finished.out.find("60 examples of 5 inputs") != std::string::npos);
  return data::read_npy(output);
}

}  // namespace

TEST_CASE("an array becomes features, the same for the same seed") {
  const std::string input = smoke_run() / "mine.npy";
  write(input, data::npy_of(example_array()));
  const auto features = applied(input, "");
  CHECK(features.shape == std::vector<std::int64_t>{60, 8});
  CHECK(features.numbers == applied(input, "").numbers);
  CHECK(features.numbers != applied(input, "--seed 1").numbers);
  CHECK(features.numbers != applied(input, "--layers 17").numbers);
  CHECK(features.numbers != applied(input, "--minibatch 8").numbers);
  const auto by_configuration = applied(input, "", wide_run()).numbers;
  CHECK(by_configuration == applied(input, "--layers 9,9,9", wide_run()).numbers);
  CHECK(by_configuration != applied(input, "--layers 64,64", wide_run()).numbers);
  CHECK(applied(input, "--scale quantiles").numbers == features.numbers);
  CHECK(applied(input, "--scale array").numbers != applied(input, "--scale columns").numbers);
  CHECK(applied(input, "--scale ranks").numbers != features.numbers);
  // Columns scaled one by one forget their units.
  auto other = example_array();
  for (std::int64_t i = 0; i < 60; ++i) other.row(i)[2] /= 1000.0f;
  write(smoke_run() / "other.npy", data::npy_of(other));
  CHECK(applied(smoke_run() / "other.npy", "").numbers == features.numbers);
}

TEST_CASE("inputs are scaled as those that the rule was trained with, and so is what it is evaluated on") {
  const TemporaryFolder folder;
  const std::string input = folder / "mine.npy";
  rule::Matrix x(240, 5);
  for (std::int64_t i = 0; i < 240; ++i)
    for (std::int64_t j = 0; j < 5; ++j)
      x.row(i)[j] = static_cast<float>(std::pow((i * (2 * j + 3) + 7 * j) % 17 + i % 4, 3));
  write(input, data::npy_of(x));
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (240,), }";
  header.resize(117, ' ');
  std::string classes = std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + "\n";
  for (int i = 0; i < 240; ++i) classes += static_cast<char>(i % 4);
  write(folder / "mine.labels.npy", classes);
  std::ofstream(folder / "c.textproto") << "updates: 2 batch: 2 rule { hidden_channels: 4 top_channels: 4 "
                                           "delta_channels: 3 readout_channels: 2 "
                                           "hidden_blocks: 0 top_layers: 1 output_units: 8 } unroll { "
                                           "min_steps: 2 max_steps: 2 } tasks { dataset { "
                                           "name: \"npy\" path: \""
                                        << input
                                        << "\" } size: 8 min_way: 3 max_way: 4 labelled_per_class: 5 "
                                           "minibatch: 16 max_hidden_layers: 1 min_width: 8 "
                                           "max_width: 8 min_inner_steps: 4 max_inner_steps: 4 }\n";
  const auto trained = [&](const std::string& name, const std::string& scaling) {
    const auto finished = run_alone("train " + (folder / "c.textproto") + " --set inputs.scaling=" + scaling +
                                    " --run-dir " + (folder / name));
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    return (folder / name) + "/rule.h5";
  };
  const std::string by_ranks = trained("ranks", "ranks"), by_array = trained("array", "array");
  const auto features = [&](const std::string& rule, const std::string& flags) {
    const auto finished = run_alone("apply " + rule + " --input " + input + " --output " +
                                    (folder / "y.npy") + " --inner-steps 4 " + flags);
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    if (flags.empty())
      CHECK(finished.out.find(rule == by_ranks ? "scaled by ranks" : "scaled by array") != std::string::npos);
    return data::read_npy(folder / "y.npy").numbers;
  };
  CHECK(features(by_ranks, "") == features(by_ranks, "--scale ranks"));
  CHECK(features(by_ranks, "") != features(by_ranks, "--scale array"));
  CHECK(features(by_array, "") == features(by_array, "--scale array"));
  const auto accuracy = [&](const std::string& rule) {
    const auto finished = run_alone("evaluate " + rule + " --dataset npy:" + input +
                                    " --draws 2 --inner-steps 4 --baselines pixels --readouts ridge --json " +
                                    (folder / "e.json"));
    INFO(finished.err);
    REQUIRE(finished.exit_code == 0);
    const auto evaluation = read_json(folder / "e.json");
    for (const auto& row : evaluation.at("tables")[0].at("rows"))
      if (row.at("method") == "pixels") return row.at("accuracy").get<double>();
    return -1.0;
  };
  // Raw inputs differ by how they were scaled alone.
  const double ranks = accuracy(by_ranks), array = accuracy(by_array);
  CHECK((ranks > 0.0 && array > 0.0));
  CHECK(ranks != array);
}

TEST_CASE("a kept model gives a row the same features, alone or among others") {
  const TemporaryFolder folder;
  const auto x = example_array();
  write(folder / "x.npy", data::npy_of(x));
  const auto trained = run_apply(folder / "x.npy", folder / "f.npy", "--save-model " + (folder / "m.h5"));
  INFO(trained.err);
  REQUIRE(trained.exit_code == 0);
  CHECK(trained.err.find("was trained on images only") != std::string::npos);
  const auto features = data::read_npy(folder / "f.npy").numbers;
  const auto by_model = [&](const std::string& input, const std::string& output,
                            const std::string& flags = "") {
    const auto finished = run_alone("apply --model " + (folder / "m.h5") + " --input " + input +
                                    " --output " + (folder / output) + " " + flags);
    INFO(finished.err);
    CHECK(finished.exit_code == 0);
    return finished;
  };
  by_model(folder / "x.npy", "again.npy", "--threads 3");
  CHECK(data::read_npy(folder / "again.npy").numbers == features);
  for (const std::int64_t row : {0, 17, 59}) {
    rule::Matrix one(1, 5);
    std::copy_n(x.row(row), 5, one.row(0));
    write(folder / "one.npy", data::npy_of(one));
    by_model(folder / "one.npy", "alone.npy");
    const auto alone = data::read_npy(folder / "alone.npy").numbers;
    CHECK(alone == std::vector<double>(features.begin() + row * 8, features.begin() + row * 8 + 8));
  }
  // Other formats hold the same.
  by_model(folder / "x.npy", "f.h5");
  by_model(folder / "x.npy", "f.csv");
  const std::string csv = read_text(folder / "f.csv");
  CHECK(csv.rfind("feature_1,feature_2", 0) == 0);
  CHECK(occurrences(csv, "\n") == 61);
  // What the file says of itself, and what does not fit.
  const auto said = run_alone("inspect " + (folder / "m.h5"));
  CHECK(said.exit_code == 0);
  CHECK(said.out.find("60 examples, 4 inner steps") != std::string::npos);
  CHECK(run_alone("evaluate " + (folder / "m.h5")).err.find("holds a base model") != std::string::npos);
  CHECK(run_alone("apply --model " + (folder / "m.h5") + " --input " + (folder / "x.npy") + " --output " +
                  (folder / "y.npy") + " --seed 1")
            .exit_code == 2);
  auto bytes = read_text(folder / "m.h5");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write(folder / "m.h5", bytes);
  const auto damaged = run_alone("inspect " + (folder / "m.h5"));
  CHECK(damaged.exit_code == 2);
  CHECK(damaged.err.find("m.h5") != std::string::npos);
}

TEST_CASE("a rule gives as many features as asked for, and its model keeps them") {
  const TemporaryFolder folder;
  write(folder / "x.npy", data::npy_of(example_array()));
  const auto trained =
      run_apply(folder / "x.npy", folder / "f.npy", "--features 24 --save-model " + (folder / "m.h5"));
  INFO(trained.err);
  REQUIRE(trained.exit_code == 0);
  CHECK(trained.out.find("24 features of each") != std::string::npos);
  const auto features = data::read_npy(folder / "f.npy");
  CHECK(features.shape == std::vector<std::int64_t>{60, 24});
  const std::string model = "apply --model " + (folder / "m.h5") + " --input " + (folder / "x.npy");
  REQUIRE(run_alone(model + " --output " + (folder / "g.npy")).exit_code == 0);
  CHECK(data::read_npy(folder / "g.npy").numbers == features.numbers);
  CHECK(run_alone(model + " --output " + (folder / "h.npy") + " --features 24").exit_code == 2);
  CHECK(run_apply(folder / "x.npy", folder / "h.npy", "--features 9").exit_code == 2);
  CHECK_FALSE(std::filesystem::exists(folder / "h.npy"));
}

TEST_CASE("a CSV table becomes features, and new rows of it by the model") {
  const TemporaryFolder folder;
  std::string text = "id,size,width,kind\n";
  for (int i = 0; i < 80; ++i)
    text += "n" + std::to_string(i) + "," + std::to_string(i % 7) + "," +
            (i == 9 ? "" : std::to_string(i % 11)) + (i % 3 == 0 ? ",a\n" : ",b\n");
  write(folder / "t.csv", text);
  const auto refused = run_apply(folder / "t.csv", folder / "f.csv");
  CHECK(refused.exit_code == 2);
  CHECK(refused.err.find("column \"id\"") != std::string::npos);
  const auto trained = run_apply(folder / "t.csv", folder / "f.csv",
                                 "--drop id --missing mean --save-model " + (folder / "m.h5"));
  INFO(trained.err);
  REQUIRE(trained.exit_code == 0);
  CHECK(trained.out.find("80 examples of 4 inputs") != std::string::npos);
  CHECK(trained.out.find("1 column of texts as 0/1 inputs (kind: 2)") != std::string::npos);
  write(folder / "new.csv", "kind,width,size\nc,3,2\n");
  const auto by_model = run_alone("apply --model " + (folder / "m.h5") + " --input " + (folder / "new.csv") +
                                  " --output " + (folder / "new.npy"));
  INFO(by_model.err);
  CHECK(by_model.exit_code == 0);
  CHECK(by_model.err.find("column kind: 1 rows with a text that the model has not seen") !=
        std::string::npos);
  CHECK(data::read_npy(folder / "new.npy").shape == std::vector<std::int64_t>{1, 8});
}

TEST_CASE("no command writes over a file that it reads, or over its own output") {
  const std::string folder = smoke_run() / "same", rule = folder + "/rule.h5", input = folder + "/x.npy";
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(smoke_run() / "run/rule.h5", rule);
  write(input, data::npy_of(example_array()));
  std::filesystem::create_symlink("rule.h5", folder + "/link.h5");
  const std::string before = read_text(rule), apply = "apply " + rule + " --inner-steps 1 --input " + input;
  for (const std::string& arguments :
       {apply + " --output " + input, apply + " --output " + rule, apply + " --output " + folder + "/link.h5",
        apply + " --output " + folder + "/f.npy --save-model " + folder + "/../same/rule.h5",
        apply + " --output " + folder + "/f.h5 --save-model " + folder + "/f.h5",
        "apply --model " + rule + " --input " + input + " --output " + rule,
        "inspect " + rule + " --json " + rule, "export " + rule + " --safetensors " + rule,
        "evaluate " + rule + " --json " + rule,
        "evaluate " + rule + " --dataset npy:" + input + " --json " + input}) {
    const auto finished = run_alone(arguments);
    INFO(arguments << ": " << finished.err);
    CHECK(finished.exit_code == 2);
    CHECK(occurrences(finished.err, "\n") == 1);
    CHECK(finished.err.find("different names") + finished.err.find("would be written over") !=
          2 * std::string::npos);
  }
  CHECK(read_text(rule) == before);
  CHECK(read_text(input) == data::npy_of(example_array()));
}

TEST_CASE("remarks that cannot be printed cost neither features nor the model") {
  const std::string input = smoke_run() / "other.npy", output = smoke_run() / "unsaid.npy",
                    model = smoke_run() / "unsaid.h5";
  write(input, data::npy_of(example_array()));
  const auto finished =
      run_shell(executable() + " apply " + (smoke_run() / "run/rule.h5") + " --input " + input +
                " --inner-steps 1 --output " + output + " --save-model " + model + " 2>/dev/full");
  CHECK(finished.exit_code == 0);
  CHECK(data::read_npy(output).shape == std::vector<std::int64_t>{60, 8});
  CHECK(run_alone("inspect " + model).exit_code == 0);
}

TEST_CASE("an error stays one line whatever is in the name of a file") {
  const std::string name = smoke_run() / "two\nlines\x1b[31m.h5";
  for (const std::string command : {"inspect", "export --safetensors /dev/null", "evaluate", "plot"}) {
    const auto finished = run_alone(command + " \"" + name + "\"");
    INFO(command << ": " << finished.err);
    CHECK(finished.exit_code == 2);
    CHECK(occurrences(finished.err, "\n") == 1);
    CHECK(finished.err.find("two\\nlines\\x1b[31m.h5") != std::string::npos);
  }
}

TEST_CASE("an array that does not fit is refused with one line, and nothing is written") {
  const std::string output = smoke_run() / "never.npy";
  const auto refuses = [&](const std::string& input, const std::string& said) {
    const auto finished = run_apply(input, output);
    INFO(finished.err);
    CHECK(finished.exit_code == 2);
    CHECK(occurrences(finished.err, "\n") == 1);
    CHECK(finished.err.find(said) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(output));
  };
  refuses("/nowhere/x.npy", "/nowhere/x.npy");
  auto x = example_array();
  x.row(3)[1] = std::numeric_limits<float>::infinity();
  write(smoke_run() / "bad.npy", data::npy_of(x));
  refuses(smoke_run() / "bad.npy", "row 3, column 1");
  const auto whole = data::npy_of(example_array());
  write(smoke_run() / "cut.npy", whole.substr(0, whole.size() - 3));
  refuses(smoke_run() / "cut.npy", "cut.npy");
  rule::Matrix one(1, 5);
  write(smoke_run() / "one.npy", data::npy_of(one));
  refuses(smoke_run() / "one.npy", "at least two examples");
}
