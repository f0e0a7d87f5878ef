#include "common/store/grey_png.h"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "common/base/error.h"

namespace outerloop::store {
namespace {

std::vector<png_byte> grey_levels(const std::vector<double>& pixels) {
  double low = 0.0, high = 0.0;
  bool any = false;
  for (const double x : pixels) {
    if (!std::isfinite(x)) continue;
    low = any ? std::min(low, x) : x;
    high = any ? std::max(high, x) : x;
    any = true;
  }
  std::vector<png_byte> levels;
  for (const double x : pixels) {
    const double share = !std::isfinite(x) ? 0.0 : high > low ? (x - low) / (high - low) : 0.5;
    levels.push_back(static_cast<png_byte>(std::lround(255.0 * share)));
  }
  return levels;
}

}  // namespace

std::string grey_png(std::int64_t height, std::int64_t width, const std::vector<double>& pixels) {
  if (height < 1 || width < 1 || static_cast<std::int64_t>(pixels.size()) != height * width)
    throw Error("a picture of " + std::to_string(height) + " x " + std::to_string(width) +
                " pixels cannot have " + std::to_string(pixels.size()));
  const auto levels = grey_levels(pixels);
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_GRAY;
  png_alloc_size_t size = 0;
  // The first call returns the size.
  std::string bytes;
  for (void* memory : {static_cast<void*>(nullptr), static_cast<void*>(&bytes)}) {
    if (memory) bytes.resize(size);
    if (!png_image_write_to_memory(&image, memory ? bytes.data() : nullptr, &size, 0, levels.data(), 0,
                                   nullptr))
      throw Error(std::string("a picture could not be written as PNG: ") + image.message);
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace outerloop::store
