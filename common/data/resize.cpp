#include "common/data/resize.h"

#include <algorithm>
#include <string>

#include "common/base/error.h"

namespace outerloop::data {
namespace {

constexpr std::int64_t kMaxInput = 65535;
constexpr std::int64_t kMaxOutput = 4096;

/// Halves width and height by the mean of four pixels: a fast path, since every start resizes tens of
/// thousands of images.
void halve(const GreyView& input, std::uint8_t* output) {
  for (std::int64_t y = 0; y < input.height; y += 2) {
    const std::uint8_t* upper = input.pixels + y * input.stride;
    const std::uint8_t* lower = upper + input.stride;
    for (std::int64_t x = 0; x < input.width; x += 2)
      *output++ = static_cast<std::uint8_t>((upper[x] + upper[x + 1] + lower[x] + lower[x + 1] + 2) / 4);
  }
}

}  // namespace

AreaResize::AreaResize(std::int64_t width, std::int64_t height) : width_(width), height_(height) {
  OUTERLOOP_CHECK(width >= 1 && width <= kMaxOutput && height >= 1 && height <= kMaxOutput,
                  std::to_string(width) + " x " + std::to_string(height));
}

// Input pixel k covers [k·output, (k+1)·output) and output pixel j covers [j·input, (j+1)·input): all
// integers.
std::vector<AreaResize::Span> AreaResize::spans(std::int64_t input, std::int64_t output) {
  std::vector<Span> result(static_cast<std::size_t>(output));
  for (std::int64_t j = 0; j < output; ++j) {
    const std::int64_t low = j * input;
    const std::int64_t high = low + input;
    Span& span = result[static_cast<std::size_t>(j)];
    span.begin = low / output;
    span.end = (high + output - 1) / output;
    span.first = static_cast<std::uint32_t>(std::min(high, (span.begin + 1) * output) - low);
    span.last = static_cast<std::uint32_t>(high - std::max(low, (span.end - 1) * output));
  }
  return result;
}

// sums_[x] = sum over the span's rows of coverage · pixel: at most input height · 255, below 2^24.
void AreaResize::sum_rows(const GreyView& input, const Span& rows) {
  const auto row = [&](std::int64_t y) { return input.pixels + y * input.stride; };
  const auto width = static_cast<std::size_t>(input.width);
  std::uint32_t* const sums = sums_.data();  // locals: the compiler can assume that stores do not change them
  std::uint32_t* const inner = inner_.data();
  const std::uint8_t* first = row(rows.begin);
  for (std::size_t x = 0; x < width; ++x) sums[x] = rows.first * first[x];
  if (rows.end - rows.begin == 1) return;
  const std::uint8_t* last = row(rows.end - 1);
  for (std::size_t x = 0; x < width; ++x) sums[x] += rows.last * last[x];
  if (rows.end - rows.begin == 2) return;
  std::fill(inner_.begin(), inner_.end(), 0);
  for (std::int64_t y = rows.begin + 1; y < rows.end - 1; ++y) {
    const std::uint8_t* whole = row(y);
    for (std::size_t x = 0; x < width; ++x) inner[x] += whole[x];
  }
  for (std::size_t x = 0; x < width; ++x) sums[x] += static_cast<std::uint32_t>(height_) * inner[x];
}

void AreaResize::operator()(const GreyView& input, std::uint8_t* output) {
  OUTERLOOP_CHECK(
      input.width >= 1 && input.width <= kMaxInput && input.height >= 1 && input.height <= kMaxInput,
      std::to_string(input.width) + " x " + std::to_string(input.height));
  if (input.width == 2 * width_ && input.height == 2 * height_) return halve(input, output);
  if (input.width != input_width_ || input.height != input_height_) {
    columns_ = spans(input.width, width_);
    rows_ = spans(input.height, height_);
    inner_.resize(static_cast<std::size_t>(input.width));
    sums_.resize(static_cast<std::size_t>(input.width));
    input_width_ = input.width;
    input_height_ = input.height;
  }
  const std::uint64_t area =
      static_cast<std::uint64_t>(input.width) * static_cast<std::uint64_t>(input.height);
  for (const Span& rows : rows_) {
    sum_rows(input, rows);
    for (const Span& columns : columns_) {
      std::uint64_t total = std::uint64_t{columns.first} * sums_[static_cast<std::size_t>(columns.begin)];
      if (columns.end - columns.begin > 1) {
        std::uint64_t whole = 0;
        for (std::int64_t x = columns.begin + 1; x < columns.end - 1; ++x)
          whole += sums_[static_cast<std::size_t>(x)];
        total += static_cast<std::uint64_t>(width_) * whole;
        total += std::uint64_t{columns.last} * sums_[static_cast<std::size_t>(columns.end - 1)];
      }
      *output++ = static_cast<std::uint8_t>((total + area / 2) / area);
    }
  }
}

}  // namespace outerloop::data
