#pragma once
// Counter-based random numbers: every draw is a pure function of (seed, stream, task, purpose, element,
// attempt), so a redraw never shifts its neighbours and any process can reproduce the draws of any other.
// Generator: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
#include <array>
#include <cstdint>
#include <vector>

namespace outerloop::rule {

/// One Philox4x32-10 block: 128 random bits from a 128-bit counter and a 64-bit key.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// Purpose of a draw. The numbers are part of the format of a run: never renumber, only append.
enum class Purpose : std::uint8_t {
  theta = 1,
  phi = 2,
  task_dataset = 3,
  task_classes = 4,
  task_permutation = 5,
  task_architecture = 6,
  task_steps = 7,
  truncation_length = 8,
  minibatch = 9,
  labelled = 10,
  augmentation = 11,
  crop = 12,
  evaluation = 13,
  test = 14,
  example_augmentation = 15,
  noise = 16,
  perturbation = 17,
  composite = 18,
  table = 19,
};

/// All draws for one purpose in one task of one stream.
class Random {
 public:
  Random(std::uint64_t seed, std::uint32_t stream, std::uint32_t task, Purpose purpose)
      : seed_(seed), stream_(stream), task_(task), purpose_(purpose) {}

  /// 128 random bits for `element`; `attempt` < 2^23 selects independent redraws of the same element. The
  /// other draws are derived from them.
  std::array<std::uint32_t, 4> block(std::uint32_t element, std::uint32_t attempt = 0) const;

  /// 64 random bits for `element`; `attempt` < 2^23 selects independent redraws of the same element.
  std::uint64_t bits(std::uint32_t element, std::uint32_t attempt = 0) const;

  /// Uniform in [0, 1), 53 bits.
  double uniform(std::uint32_t element) const;

  /// Uniform in [low, high).
  double uniform(std::uint32_t element, double low, double high) const;

  /// Unbiased integer in [0, n), n >= 1 (rejection over attempts).
  std::uint64_t below(std::uint32_t element, std::uint64_t n) const;

  /// Integer in [low, high], both included, uniform in the logarithm: P(v) ~ log((v + 1) / v).
  std::int64_t log_uniform(std::uint32_t element, std::int64_t low, std::int64_t high) const;

  /// Standard normal (Box-Muller).
  double normal(std::uint32_t element, std::uint32_t attempt = 0) const;

  /// Standard normal redrawn beyond two sigma, not rescaled.
  double truncated_normal(std::uint32_t element) const;

  /// A random order of 0 .. n-1 (Fisher-Yates). Uses elements first .. first + n - 1.
  std::vector<std::int32_t> permutation(std::int32_t n, std::uint32_t first = 0) const;

  /// `count` different members of 0 .. n-1, in random order. Uses elements first .. first + count - 1.
  std::vector<std::int32_t> sample(std::int32_t n, std::int32_t count, std::uint32_t first = 0) const;

 private:
  std::uint64_t seed_;
  std::uint32_t stream_;
  std::uint32_t task_;
  Purpose purpose_;
};

}  // namespace outerloop::rule
