#include "common/rule/random.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <unordered_map>
#include <utility>

#include "common/base/error.h"

namespace outerloop::rule {
namespace {

constexpr double kTwoPi = 6.283185307179586476925286766559;

std::uint64_t word64(std::uint32_t low, std::uint32_t high) { return (std::uint64_t{high} << 32) | low; }

double unit_interval(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(p0)};
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c;
}

std::array<std::uint32_t, 4> Random::block(std::uint32_t element, std::uint32_t attempt) const {
  const std::uint32_t purpose_and_attempt = static_cast<std::uint32_t>(purpose_) | (attempt << 8);
  return philox({element, purpose_and_attempt, task_, stream_},
                {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
}

std::uint64_t Random::bits(std::uint32_t element, std::uint32_t attempt) const {
  const auto b = block(element, attempt);
  return word64(b[0], b[1]);
}

double Random::uniform(std::uint32_t element) const { return unit_interval(bits(element)); }

double Random::uniform(std::uint32_t element, double low, double high) const {
  return low + (high - low) * uniform(element);
}

std::uint64_t Random::below(std::uint32_t element, std::uint64_t n) const {
  OUTERLOOP_CHECK(n >= 1, "n = " + std::to_string(n));
  // Values at or above the largest multiple of n would favour small results.
  const std::uint64_t limit = UINT64_MAX - (UINT64_MAX % n + 1) % n;
  for (std::uint32_t attempt = 0;; ++attempt) {
    const std::uint64_t value = bits(element, attempt);
    if (value <= limit) return value % n;
  }
}

std::int64_t Random::log_uniform(std::uint32_t element, std::int64_t low, std::int64_t high) const {
  OUTERLOOP_CHECK(1 <= low && low <= high, std::to_string(low) + " .. " + std::to_string(high));
  const double span = std::log(static_cast<double>(high + 1) / static_cast<double>(low));
  const auto value = static_cast<std::int64_t>(static_cast<double>(low) * std::exp(span * uniform(element)));
  return std::min(std::max(value, low), high);
}

double Random::normal(std::uint32_t element, std::uint32_t attempt) const {
  const auto b = block(element, attempt);
  const double u = 1.0 - unit_interval(word64(b[0], b[1]));  // (0, 1]: the logarithm stays finite
  const double v = unit_interval(word64(b[2], b[3]));
  return std::sqrt(-2.0 * std::log(u)) * std::cos(kTwoPi * v);
}

double Random::truncated_normal(std::uint32_t element) const {
  for (std::uint32_t attempt = 0;; ++attempt) {
    const double value = normal(element, attempt);
    if (std::abs(value) <= 2.0) return value;
  }
}

std::vector<std::int32_t> Random::permutation(std::int32_t n, std::uint32_t first) const {
  return sample(n, n, first);
}

std::vector<std::int32_t> Random::sample(std::int32_t n, std::int32_t count, std::uint32_t first) const {
  OUTERLOOP_CHECK(0 <= count && count <= n, std::to_string(count) + " of " + std::to_string(n));
  // Fisher-Yates from the front; only the moved entries are stored, so a small sample from a large range is
  // cheap.
  std::unordered_map<std::int32_t, std::int32_t> moved;
  const auto at = [&](std::int32_t i) {
    const auto found = moved.find(i);
    return found == moved.end() ? i : found->second;
  };
  std::vector<std::int32_t> result(static_cast<std::size_t>(count));
  for (std::int32_t i = 0; i < count; ++i) {
    const auto j = i + static_cast<std::int32_t>(
                           below(first + static_cast<std::uint32_t>(i), static_cast<std::uint64_t>(n - i)));
    result[static_cast<std::size_t>(i)] = at(j);
    moved[j] = at(i);
  }
  return result;
}

}  // namespace outerloop::rule
