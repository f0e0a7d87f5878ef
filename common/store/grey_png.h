#pragma once
// Encodes an array as a grey PNG.
#include <cstdint>
#include <string>
#include <vector>

namespace outerloop::store {

/// A PNG file's bytes: pixels [height, width], row-major, from the smallest number (black) to the largest
/// (white); all grey where they are equal, black where a number is not finite. Throws Error where sizes do
/// not fit.
std::string grey_png(std::int64_t height, std::int64_t width, const std::vector<double>& pixels);

}  // namespace outerloop::store
