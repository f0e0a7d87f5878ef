#include "common/data/gratings.h"

#include <algorithm>
#include <cmath>

#include "common/rule/random.h"

namespace outerloop::data {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kNoise = 0.05;  ///< standard deviation of each pixel's noise; grey is 0 to 1

/// Elements 0, 1 and 2 are wavelength, phase and contrast; the pixels' noise follows.
void append_grating(std::int64_t direction, const rule::Random& random, WorkingSet& set) {
  const double angle = kPi * static_cast<double>(direction) / static_cast<double>(kGratingDirections);
  const double wave = 2.0 * kPi / random.uniform(0, 4.0, 14.0), phase = random.uniform(1, 0.0, 2.0 * kPi);
  const double contrast = random.uniform(2, 0.2, 0.5);
  std::uint32_t element = 3;
  for (std::int64_t row = 0; row < set.side; ++row)
    for (std::int64_t column = 0; column < set.side; ++column) {
      const double along =
          std::cos(angle) * static_cast<double>(column) + std::sin(angle) * static_cast<double>(row);
      const double grey = 0.5 + contrast * std::sin(wave * along + phase) + kNoise * random.normal(element++);
      set.pixels.push_back(static_cast<std::uint8_t>(std::lround(255.0 * std::clamp(grey, 0.0, 1.0))));
    }
  set.labels.push_back(static_cast<std::int32_t>(direction));
}

}  // namespace

WorkingSet make_gratings() {
  WorkingSet set;
  set.side = kWorkingSide;
  for (std::int64_t k = 0; k < kGratingDirections; ++k)
    set.class_names.push_back(std::to_string(180 * k / kGratingDirections) + " degrees");
  for (std::int64_t i = 0; i < kGratingDirections * kGratingsPerDirection; ++i) {
    const rule::Random random(0, 100, static_cast<std::uint32_t>(i), rule::Purpose::crop);
    append_grating(i % kGratingDirections, random, set);
  }
  return set;
}

}  // namespace outerloop::data
