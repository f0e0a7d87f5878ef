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

Finished apply(const std::string& input, const std::string& output, const std::string& flags = "",
               const TemporaryFolder& by = smoke_run()) {
  return run_alone("apply " + (by / "run/rule.h5") + " --input " + input + " --output " + output +
                   " --inner-steps 4 " + flags);
}

data::Array applied(const std::string& input, const std::string& flags,
                    const TemporaryFolder& by = smoke_run()) {
  const std::string output = by / "features.npy";
  const auto finished = apply(input, output, flags, by);
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
  CHECK(features.numbers != applied(input, "--layers 16").numbers);
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

TEST_CASE("an array that does not fit is refused with one line, and nothing is written") {
  const std::string output = smoke_run() / "never.npy";
  const auto refuses = [&](const std::string& input, const std::string& said) {
    const auto finished = apply(input, output);
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
  refuses(smoke_run() / "one.npy", "two examples at least");
}
