#include "cli/figures/colours.h"

#include <algorithm>
#include <cmath>

namespace outerloop::cli {
namespace {

constexpr double kStep = 0.6;  // the rest of the way to black or white that each further shade leaves
constexpr int kMostShades = 16;
constexpr double kLeastDistance = 0.04;  // in RGB: about ten of 255 steps

double distance(const Colour& a, const Colour& b) {
  return std::hypot(a.red - b.red, a.green - b.green, a.blue - b.blue);
}

bool dark(const Colour& colour) { return colour.red + colour.green + colour.blue < 0.75; }

bool is_free(const Colour& colour, const std::vector<Colour>& taken) {
  return std::none_of(taken.begin(), taken.end(),
                      [&](const Colour& other) { return distance(colour, other) < kLeastDistance; });
}

}  // namespace

Colour shade(const Colour& colour, int number) {
  if (number == 0) return colour;
  const double kept = std::pow(kStep, (number + 1) / 2);
  const double end = (number % 2 == 0) != dark(colour) ? 1.0 : 0.0;  // white or black
  const auto mixed = [&](double value) { return kept * value + (1.0 - kept) * end; };
  return {mixed(colour.red), mixed(colour.green), mixed(colour.blue), colour.alpha};
}

std::vector<Colour> distinct_colours(const std::vector<Colour>& wished) {
  // 1. First wishes, so that no shade takes a colour that a later curve wishes.
  std::vector<Colour> taken;
  std::vector<bool> granted;
  for (const auto& wish : wished) {
    granted.push_back(is_free(wish, taken));
    if (granted.back()) taken.push_back(wish);
  }
  // 2. The others.
  std::vector<Colour> colours = wished;
  for (std::size_t i = 0; i < colours.size(); ++i) {
    if (granted[i]) continue;
    for (int number = 1; number <= kMostShades && !is_free(colours[i], taken); ++number)
      colours[i] = shade(wished[i], number);
    taken.push_back(colours[i]);
  }
  return colours;
}

}  // namespace outerloop::cli
