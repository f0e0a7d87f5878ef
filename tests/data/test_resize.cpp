// Area resize: results computed by hand, and comparison with the definition.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/data/resize.h"
#include "common/rule/random.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {
namespace {

Bytes resized(const data::GreyView& input, std::int64_t width, std::int64_t height) {
  Bytes output(static_cast<std::size_t>(width * height));
  data::AreaResize(width, height)(input, output.data());
  return output;
}

/// The definition, in doubles: coverage of every input pixel by every output pixel.
double covered_mean(const data::GreyImage& image, double left, double top, double width, double height) {
  double sum = 0.0;
  for (std::int64_t y = 0; y < image.height; ++y) {
    for (std::int64_t x = 0; x < image.width; ++x) {
      const auto overlap = [](double low, double high, double at) {
        return std::max(0.0, std::min(high, at + 1.0) - std::max(low, at));
      };
      sum += overlap(left, left + width, static_cast<double>(x)) *
             overlap(top, top + height, static_cast<double>(y)) *
             image.pixels[static_cast<std::size_t>(y * image.width + x)];
    }
  }
  return sum / (width * height);
}

TEST_CASE("area resize by hand") {
  const Bytes four{0, 100, 200, 60};
  CHECK(resized({four.data(), 2, 2, 2}, 1, 1) == Bytes{90});
  CHECK(resized({four.data(), 2, 2, 2}, 2, 2) == four);
  CHECK(resized({four.data(), 4, 1, 4}, 2, 1) == Bytes{50, 130});
  // Three pixels onto two: the middle one is shared, (0 + 100/2) / 1.5 and (100/2 + 200) / 1.5.
  CHECK(resized({four.data(), 3, 1, 3}, 2, 1) == Bytes{33, 167});
  // Two onto three: the middle output lies half on each.
  CHECK(resized({four.data() + 1, 2, 1, 2}, 3, 1) == Bytes{100, 150, 200});
  CHECK(resized({four.data() + 1, 1, 1, 1}, 2, 3) == Bytes(6, 100));
  // Halves are rounded up.
  const Bytes half{1, 2};
  CHECK(resized({half.data(), 2, 1, 2}, 1, 1) == Bytes{2});
}

TEST_CASE("area resize is the mean over the covered area, up and down") {
  for (const auto& [width, height, to_width, to_height] : {std::array<std::int64_t, 4>{28, 28, 14, 14},
                                                           {28, 28, 10, 10},
                                                           {28, 28, 16, 9},
                                                           {7, 5, 28, 28},
                                                           {1, 1, 3, 3},
                                                           {13, 40, 12, 11},
                                                           {100, 3, 7, 7},
                                                           {29, 31, 28, 28}}) {
    INFO(width << " x " << height << " to " << to_width << " x " << to_height);
    const data::GreyImage image = waves(width, height, 5);
    const Bytes output = resized(image.view(), to_width, to_height);
    const double sx = static_cast<double>(width) / static_cast<double>(to_width);
    const double sy = static_cast<double>(height) / static_cast<double>(to_height);
    double worst = 0.0;
    for (std::int64_t y = 0; y < to_height; ++y)
      for (std::int64_t x = 0; x < to_width; ++x) {
        const double expected =
            covered_mean(image, static_cast<double>(x) * sx, static_cast<double>(y) * sy, sx, sy);
        worst = std::max(worst, std::abs(expected - output[static_cast<std::size_t>(y * to_width + x)]));
      }
    CHECK(worst <= 0.5 + 1e-9);
    const auto mean = [](const Bytes& pixels) {
      return std::accumulate(pixels.begin(), pixels.end(), 0.0) / static_cast<double>(pixels.size());
    };
    CHECK(std::abs(mean(output) - mean(image.pixels)) <= 0.5);
  }
}

TEST_CASE("area resize reads its rectangle and nothing else") {
  data::GreyImage image;
  image.width = 50;
  image.height = 40;
  image.pixels.assign(2000, 255);
  for (std::int64_t y = 10; y < 21; ++y)
    for (std::int64_t x = 20; x < 33; ++x) image.pixels[static_cast<std::size_t>(y * 50 + x)] = 7;
  CHECK(resized({image.pixels.data() + 10 * 50 + 20, 13, 11, 50}, 28, 28) == Bytes(784, 7));
  CHECK(resized({image.pixels.data() + 10 * 50 + 20, 13, 11, 50}, 5, 3) == Bytes(15, 7));
}

TEST_CASE("one resizer takes images of changing sizes, and the largest sums fit") {
  data::AreaResize resize(3, 3);
  Bytes output(9);
  for (const std::int64_t side : {5, 900, 2, 65535}) {
    const std::int64_t height = side == 65535 ? 1 : side;
    const Bytes white(static_cast<std::size_t>(side * height), 255);
    resize({white.data(), side, height, side}, output.data());
    CHECK(output == Bytes(9, 255));
    resize({white.data(), height, side, height}, output.data());
    CHECK(output == Bytes(9, 255));
  }
}

}  // namespace
}  // namespace outerloop::tests
