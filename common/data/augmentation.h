#pragma once
// Data augmentation: shift, rotation, scale, contrast, inversion and noise. Each example of a task draws its
// own coefficients; inputs are permuted afterwards.
#include <cstdint>
#include <vector>

#include "common/rule/random.h"

namespace outerloop::data {

/// Range of each coefficient; 0 switches its kind off. Shift, rotation and scale apply to images only.
struct AugmentationOptions {
  double probability = 0.0;   ///< share of tasks that are augmented
  double shift = 0.0;         ///< along each axis uniform(-shift, shift), in sides of the image; 0 .. 1
  double rotation = 0.0;      ///< by uniform(-rotation, rotation) degrees, 0 .. 180
  double scale = 0.0;         ///< enlarged exp(uniform(-scale, scale)) times, 0 .. 2
  double contrast = 0.0;      ///< exp(uniform(-contrast, contrast)) times, about the example's mean, 0 .. 3
  double inversion = 0.0;     ///< share of examples that show 1 - x, 0 .. 1
  double noise = 0.0;         ///< standard deviation uniform(0, noise) of the noise on every input, 0 .. 2
  double target_scale = 0.0;  ///< standard deviation of each coefficient as a regression target; 0: none

  /// True if any kind is on.
  bool enabled() const;
};

/// Throws InputError that names the key (below tasks.augmentation), its value and the allowed range.
void check_augmentation(const AugmentationOptions& options);

/// One example's coefficients. Coefficients of kinds that are off have no effect.
struct Coefficients {
  double shift_x = 0.0;   ///< to the right, in sides
  double shift_y = 0.0;   ///< downwards, in sides
  double rotation = 0.0;  ///< clockwise, as rows go down; radians
  double scale = 1.0;
  double contrast = 1.0;
  bool inverted = false;
  double noise = 0.0;  ///< standard deviation
};

/// Random elements that draw_coefficients uses per example.
constexpr std::int64_t kCoefficientElements = 8;

/// Elements: first + 0 (shift_x), 1 (shift_y), 2 (rotation), 3 (scale), 4 (contrast), 5 (inversion), 6
/// (noise).
Coefficients draw_coefficients(const AugmentationOptions& options, const rule::Random& random,
                               std::uint32_t first);

/// Regression targets that a rule is scored on in addition to the classes: one for each coefficient whose
/// kind is on (shift, rotation and scale: for images only), in the order of Coefficients.
std::int64_t target_columns(const AugmentationOptions& options, bool image);

/// Writes these targets, with mean 0 and standard deviation target_scale over examples. For scale and
/// contrast the target is the logarithm. Returns one past the last.
double* write_coefficients(const AugmentationOptions& options, const Coefficients& coefficients, bool image,
                           double* targets);

/// Applies coefficients. Keeps a buffer between calls: one per thread.
class Augmenter {
 public:
  /// Images of side × side, or vectors of `inputs` numbers where `side` is 0.
  Augmenter(std::int64_t side, std::int64_t inputs);

  /// pixels: [inputs], 0..255 for 0..1. The result, [inputs], lives until the next call. In order: shift,
  /// rotation and scale about the middle (between pixels bilinear, beyond the border its nearest pixel),
  /// contrast, inversion, noise. Values may leave 0 .. 1. Noise is (the sum of four random bytes - 510) / its
  /// standard deviation, close to normal and the same on every machine; elements: `element`, attempts 0 ..
  /// inputs / 4.
  const std::vector<double>& operator()(const std::uint8_t* pixels, const Coefficients& coefficients,
                                        const rule::Random& noise, std::uint32_t element);

 private:
  void place(const std::uint8_t* pixels, const Coefficients& coefficients);
  void add_noise(double deviation, const rule::Random& noise, std::uint32_t element);

  std::int64_t side_;
  std::vector<double> values_;  ///< [inputs]
};

}  // namespace outerloop::data
