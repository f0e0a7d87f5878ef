#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "common/rule/random.h"
#include "tests/catch.h"

namespace outerloop::tests {
namespace {

using rule::Purpose;
using rule::Random;
using Words = std::array<std::uint32_t, 4>;

Random test_random(std::uint64_t seed = 7) { return Random(seed, 3, 5, Purpose::test); }

/// Mean and variance of `draw(i)`, i = 0 .. n-1.
template <class F>
std::pair<double, double> moments(std::uint32_t n, const F& draw) {
  double sum = 0, squares = 0;
  for (std::uint32_t i = 0; i < n; ++i) {
    const double value = draw(i);
    sum += value;
    squares += value * value;
  }
  const double mean = sum / n;
  return {mean, squares / n - mean * mean};
}

}  // namespace

TEST_CASE("philox reproduces the known answers of its authors") {
  CHECK(rule::philox({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const std::uint32_t ones = 0xffffffff;
  CHECK(rule::philox({ones, ones, ones, ones}, {ones, ones}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(rule::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a draw depends on every part of its address and on nothing else") {
  const auto base = test_random().bits(11);
  CHECK(test_random().bits(11) == base);
  CHECK(test_random().bits(12) != base);
  CHECK(test_random().bits(11, 1) != base);
  CHECK(test_random(8).bits(11) != base);
  CHECK(test_random(std::uint64_t{7} | std::uint64_t{1} << 40).bits(11) != base);
  CHECK(Random(7, 4, 5, Purpose::test).bits(11) != base);
  CHECK(Random(7, 3, 6, Purpose::test).bits(11) != base);
  CHECK(Random(7, 3, 5, Purpose::theta).bits(11) != base);
}

TEST_CASE("uniform numbers fill [0, 1) evenly") {
  const auto random = test_random();
  constexpr std::uint32_t n = 100000;
  const auto [mean, variance] = moments(n, [&](std::uint32_t i) { return random.uniform(i); });
  // Five standard errors: sqrt(1/12 / n) and, for the variance, sqrt(1/180 / n).
  CHECK(std::abs(mean - 0.5) < 5 * std::sqrt(1.0 / 12 / n));
  CHECK(std::abs(variance - 1.0 / 12) < 5 * std::sqrt(1.0 / 180 / n));
  for (std::uint32_t i = 0; i < n; ++i) {
    const double u = random.uniform(i);
    if (u < 0.0 || u >= 1.0) FAIL("element " << i << ": " << u);
    const double v = random.uniform(i, -3.0, 2.0);
    if (v < -3.0 || v >= 2.0) FAIL("element " << i << ": " << v);
  }
}

TEST_CASE("normal numbers have the moments of a normal distribution") {
  const auto random = test_random();
  constexpr std::uint32_t n = 100000;
  const auto [mean, variance] = moments(n, [&](std::uint32_t i) { return random.normal(i); });
  CHECK(std::abs(mean) < 5 / std::sqrt(n));
  CHECK(std::abs(variance - 1.0) < 5 * std::sqrt(2.0 / n));
  const auto fourth = moments(n, [&](std::uint32_t i) { return std::pow(random.normal(i), 2); }).second;
  CHECK(std::abs(fourth - 2.0) < 5 * std::sqrt(60.0 / n) * 2);
}

TEST_CASE("truncated normal numbers stay within two sigma and are not rescaled") {
  const auto random = test_random();
  constexpr std::uint32_t n = 100000;
  const auto [mean, variance] = moments(n, [&](std::uint32_t i) { return random.truncated_normal(i); });
  // variance = 1 - 4 pdf(2) / (2 cdf(2) - 1) = 0.774
  CHECK(std::abs(mean) < 5 * 0.88 / std::sqrt(n));
  CHECK(variance == Approx(0.7737).epsilon(0.01));
  for (std::uint32_t i = 0; i < n; ++i)
    if (std::abs(random.truncated_normal(i)) > 2.0) FAIL("element " << i);
}

TEST_CASE("below covers its range without favour") {
  const auto random = test_random();
  for (const std::uint64_t n : {std::uint64_t{1}, std::uint64_t{3}, std::uint64_t{7}, std::uint64_t{10}}) {
    std::vector<int> count(n);
    constexpr int draws = 60000;
    for (int i = 0; i < draws; ++i) {
      const auto value = random.below(static_cast<std::uint32_t>(i), n);
      REQUIRE(value < n);
      ++count[value];
    }
    const double expected = static_cast<double>(draws) / static_cast<double>(n);
    for (const int c : count) CHECK(std::abs(c - expected) <= 5 * std::sqrt(expected));
  }
  // A range just above half of all 64-bit values: without rejection the lower half would occur twice as
  // often.
  const std::uint64_t large = (std::uint64_t{1} << 63) + 2;
  int lower = 0;
  constexpr int draws = 20000;
  for (int i = 0; i < draws; ++i) {
    const auto value = random.below(static_cast<std::uint32_t>(i), large);
    REQUIRE(value < large);
    lower += value < large / 2 ? 1 : 0;
  }
  CHECK(std::abs(lower - draws / 2) < 5 * std::sqrt(draws / 4.0));
}

TEST_CASE("log_uniform stays in its range and is uniform in the logarithm") {
  const auto random = test_random();
  int below_ten = 0;
  constexpr int draws = 20000;
  std::set<std::int64_t> seen;
  for (int i = 0; i < draws; ++i) {
    const auto value = random.log_uniform(static_cast<std::uint32_t>(i), 1, 99);
    REQUIRE(value >= 1);
    REQUIRE(value <= 99);
    seen.insert(value);
    below_ten += value < 10 ? 1 : 0;
  }
  CHECK(std::abs(below_ten - draws / 2) < 5 * std::sqrt(draws / 4.0));  // log 10 / log 100
  CHECK(seen.count(1) == 1);
  CHECK(seen.count(99) == 1);
  CHECK(random.log_uniform(0, 42, 42) == 42);
}

TEST_CASE("a permutation holds every index once; a sample holds none twice") {
  const auto random = test_random();
  auto order = random.permutation(500);
  CHECK(order != random.permutation(500, 500));
  std::sort(order.begin(), order.end());
  for (std::int32_t i = 0; i < 500; ++i) REQUIRE(order[static_cast<std::size_t>(i)] == i);

  const auto sample = random.sample(1000000, 200);
  CHECK(sample.size() == 200);
  CHECK(std::set<std::int32_t>(sample.begin(), sample.end()).size() == 200);
  for (const auto value : sample) REQUIRE((value >= 0 && value < 1000000));
  CHECK(random.sample(5, 0).empty());
  CHECK(random.permutation(0).empty());

  // Every position of the first entry is equally likely.
  std::array<int, 6> count{};
  constexpr int draws = 12000;
  for (int i = 0; i < draws; ++i)
    ++count[static_cast<std::size_t>(random.permutation(6, static_cast<std::uint32_t>(6 * i))[0])];
  for (const int c : count) CHECK(std::abs(c - draws / 6) < 5 * std::sqrt(draws / 6.0));
}

}  // namespace outerloop::tests
