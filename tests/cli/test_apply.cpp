// outerloop apply on arrays that the test makes.
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
  CHECK(applied(input, "--scale array").numbers != applied(input, "--scale columns").numbers);
  // Columns scaled one by one forget their units.
  auto other = example_array();
  for (std::int64_t i = 0; i < 60; ++i) other.row(i)[2] /= 1000.0f;
  write(smoke_run() / "other.npy", data::npy_of(other));
  const auto same = applied(smoke_run() / "other.npy", "");
  for (std::size_t i = 0; i < same.numbers.size(); ++i)
    CHECK(same.numbers[i] == Approx(features.numbers[i]).margin(1e-3));
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
