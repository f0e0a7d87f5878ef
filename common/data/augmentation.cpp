#include "common/data/augmentation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "common/base/error.h"

namespace outerloop::data {
namespace {

constexpr double kUnit = 1.0 / 255.0;
constexpr double kRadians = 3.14159265358979323846 / 180.0;
// Four bytes: mean 4 · 127.5, variance 4 · (256² - 1) / 12.
constexpr double kBytesMean = 510.0;
const double kBytesDeviation = std::sqrt(21845.0);

void require_number(const char* key, double value, double high) {
  if (value >= 0.0 && value <= high) return;
  throw InputError("tasks.augmentation." + std::string(key) + ": " + std::to_string(value) +
                   ", allowed is 0 to " + std::to_string(high));
}

/// The sum of the four bytes.
std::uint32_t sum_of_bytes(std::uint32_t word) {
  const std::uint32_t pairs = (word & 0x00FF00FFu) + (word >> 8 & 0x00FF00FFu);
  return (pairs & 0xFFFFu) + (pairs >> 16);
}

bool moves(const Coefficients& c) {
  return c.shift_x != 0.0 || c.shift_y != 0.0 || c.rotation != 0.0 || c.scale != 1.0;
}

/// Bilinear value at (x, y), which lies inside an image of the given side, >= 2.
double bilinear(const std::uint8_t* pixels, std::int64_t side, double x, double y) {
  const std::int64_t left = std::min(static_cast<std::int64_t>(x), side - 2);
  const std::int64_t top = std::min(static_cast<std::int64_t>(y), side - 2);
  const double right_share = x - static_cast<double>(left);
  const double low_share = y - static_cast<double>(top);
  const std::uint8_t* upper = pixels + top * side + left;
  const std::uint8_t* lower = upper + side;
  const double above = upper[0] + right_share * (upper[1] - upper[0]);
  const double below = lower[0] + right_share * (lower[1] - lower[0]);
  return above + low_share * (below - above);
}

}  // namespace

bool AugmentationOptions::enabled() const {
  return probability > 0.0 &&
         (shift > 0.0 || rotation > 0.0 || scale > 0.0 || contrast > 0.0 || inversion > 0.0 || noise > 0.0);
}

void check_augmentation(const AugmentationOptions& options) {
  require_number("probability", options.probability, 1.0);
  require_number("shift", options.shift, 1.0);
  require_number("rotation", options.rotation, 180.0);
  require_number("scale", options.scale, 2.0);
  require_number("contrast", options.contrast, 3.0);
  require_number("inversion", options.inversion, 1.0);
  require_number("noise", options.noise, 2.0);
  require_number("target_scale", options.target_scale, 10.0);
}

Coefficients draw_coefficients(const AugmentationOptions& options, const rule::Random& random,
                               std::uint32_t first) {
  const auto within = [&](std::uint32_t element, double most) {
    return most > 0.0 ? random.uniform(first + element, -most, most) : 0.0;
  };
  Coefficients c;
  c.shift_x = within(0, options.shift);
  c.shift_y = within(1, options.shift);
  c.rotation = within(2, options.rotation * kRadians);
  c.scale = std::exp(within(3, options.scale));
  c.contrast = std::exp(within(4, options.contrast));
  c.inverted = options.inversion > 0.0 && random.uniform(first + 5) < options.inversion;
  c.noise = options.noise > 0.0 ? random.uniform(first + 6, 0.0, options.noise) : 0.0;
  return c;
}

std::int64_t target_columns(const AugmentationOptions& options, bool image) {
  std::array<double, kCoefficientElements> unused{};
  return write_coefficients(options, {}, image, unused.data()) - unused.data();
}

double* write_coefficients(const AugmentationOptions& options, const Coefficients& c, bool image,
                           double* targets) {
  const auto write = [&](bool on, double value, double mean, double deviation) {
    if (on) *targets++ = options.target_scale * (value - mean) / deviation;
  };
  // uniform(-a, a) has the standard deviation a / √3.
  const auto write_uniform = [&](double most, double value) {
    write(most > 0.0, value, 0.0, most / std::sqrt(3.0));
  };
  if (image) {
    write_uniform(options.shift, c.shift_x);
    write_uniform(options.shift, c.shift_y);
    write_uniform(options.rotation * kRadians, c.rotation);
    write_uniform(options.scale, std::log(c.scale));
  }
  write_uniform(options.contrast, std::log(c.contrast));
  const double share = options.inversion;
  write(share > 0.0 && share < 1.0, c.inverted ? 1.0 : 0.0, share, std::sqrt(share * (1.0 - share)));
  write(options.noise > 0.0, c.noise, options.noise / 2.0, options.noise / std::sqrt(12.0));
  return targets;
}

Augmenter::Augmenter(std::int64_t side, std::int64_t inputs)
    : side_(side), values_(static_cast<std::size_t>(inputs)) {
  OUTERLOOP_CHECK(side == 0 || side * side == inputs,
                  std::to_string(inputs) + " inputs, side " + std::to_string(side));
}

/// An output pixel at p (from the middle) shows the input at R(-rotation) (p - shift) / scale.
void Augmenter::place(const std::uint8_t* pixels, const Coefficients& c) {
  const double middle = 0.5 * static_cast<double>(side_ - 1);
  const double cosine = std::cos(c.rotation) / c.scale;
  const double sine = std::sin(c.rotation) / c.scale;
  const double sides = static_cast<double>(side_);
  const double last = sides - 1.0;
  double* value = values_.data();
  for (std::int64_t row = 0; row < side_; ++row) {
    const double y = static_cast<double>(row) - middle - c.shift_y * sides;
    for (std::int64_t column = 0; column < side_; ++column) {
      const double x = static_cast<double>(column) - middle - c.shift_x * sides;
      const double from_x = std::clamp(middle + cosine * x + sine * y, 0.0, last);
      const double from_y = std::clamp(middle - sine * x + cosine * y, 0.0, last);
      *value++ = bilinear(pixels, side_, from_x, from_y) * kUnit;
    }
  }
}

void Augmenter::add_noise(double deviation, const rule::Random& noise, std::uint32_t element) {
  const double step = deviation / kBytesDeviation;
  const std::size_t count = values_.size();
  for (std::size_t i = 0; i < count; i += 4) {
    const auto words = noise.block(element, static_cast<std::uint32_t>(i / 4));
    for (std::size_t j = 0; j < std::min<std::size_t>(4, count - i); ++j)
      values_[i + j] += step * (sum_of_bytes(words[j]) - kBytesMean);
  }
}

const std::vector<double>& Augmenter::operator()(const std::uint8_t* pixels, const Coefficients& c,
                                                 const rule::Random& noise, std::uint32_t element) {
  if (side_ >= 2 && moves(c))
    place(pixels, c);
  else
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = pixels[i] * kUnit;
  if (c.contrast != 1.0) {
    double mean = 0.0;
    for (const double value : values_) mean += value;
    mean /= static_cast<double>(values_.size());
    for (double& value : values_) value = mean + c.contrast * (value - mean);
  }
  if (c.inverted)
    for (double& value : values_) value = 1.0 - value;
  if (c.noise > 0.0) add_noise(c.noise, noise, element);
  return values_;
}

}  // namespace outerloop::data
