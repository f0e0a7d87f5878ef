#pragma once
// Sequential draws from counter-based random numbers, for datasets that are computed.
#include <cstddef>
#include <cstdint>

#include "common/rule/random.h"

namespace outerloop::data {

/// Every call uses the next element of one counter-based sequence.
class Dice {
 public:
  explicit Dice(const rule::Random& random) : random_(random) {}

  double uniform(double low, double high) { return random_.uniform(next_++, low, high); }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_.below(next_++, n)); }
  bool chance(double probability) { return random_.uniform(next_++) < probability; }
  std::int64_t log_uniform(std::int64_t low, std::int64_t high) {
    return random_.log_uniform(next_++, low, high);
  }

  /// Nearly normal, mean 0, standard deviation 1, within ±4.9: the sum of eight 16-bit uniform numbers. It
  /// calls no function of the mathematical library, so the bits are the same on every machine.
  double normal() {
    constexpr double kMean = 8.0 * 32767.5, kDeviation = 53509.92;  // 65536 · sqrt(8 / 12)
    std::uint32_t sum = 0;
    for (const std::uint32_t word : random_.block(next_++)) sum += (word & 0xFFFFu) + (word >> 16);
    return (static_cast<double>(sum) - kMean) / kDeviation;
  }

 private:
  rule::Random random_;
  std::uint32_t next_ = 0;
};

}  // namespace outerloop::data
