#include "common/data/two_moons.h"

#include <algorithm>
#include <cmath>

#include "common/rule/random.h"

namespace outerloop::data {
namespace {

constexpr double kPi = 3.14159265358979323846;

std::uint8_t to_byte(double value, double low, double high) {
  return static_cast<std::uint8_t>(std::lround(255.0 * std::clamp((value - low) / (high - low), 0.0, 1.0)));
}

/// Draws: (seed 0, stream = the part, Purpose::crop), elements 3i (place), 3i + 1 and 3i + 2 (noise). The
/// purpose is that of crops, although nothing is cropped: a separate purpose would change every point, and
/// runs with this dataset could not be resumed. Crops of photographs draw from stream 0 only.
void append_points(std::uint32_t stream, WorkingSet& set) {
  const rule::Random random(0, stream, 0, rule::Purpose::crop);
  for (std::int64_t i = 0; i < kMoonPoints; ++i) {
    const auto element = static_cast<std::uint32_t>(3 * i);
    const auto label = static_cast<std::int32_t>(i % 2);
    const double along = random.uniform(element);
    const double sign = label == 0 ? 1.0 : -1.0;
    const double x = sign * std::cos(kPi * along) + (label == 0 ? 0.0 : 1.0);
    const double y = sign * std::sin(kPi * along) + (label == 0 ? 0.0 : 0.5);
    set.pixels.push_back(to_byte(x + kMoonNoise * random.normal(element + 1), -1.5, 2.5));
    set.pixels.push_back(to_byte(y + kMoonNoise * random.normal(element + 2), -1.25, 1.75));
    set.labels.push_back(label);
    set.scores.push_back(static_cast<float>(2.0 * along - 1.0));
  }
}

}  // namespace

WorkingSet make_two_moons(Part part) {
  WorkingSet set;
  set.inputs = 2;
  set.class_names = {"upper", "lower"};
  if (part != Part::test) append_points(1, set);
  if (part != Part::train) append_points(2, set);
  return set;
}

}  // namespace outerloop::data
