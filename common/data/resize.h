#pragma once
// Image resizing by area: a box filter with the exact coverage of every pixel, in integer arithmetic, so that
// the result has the same bits on every machine.
#include <cstdint>
#include <vector>

namespace outerloop::data {

/// A rectangle of a grey image, not owned.
struct GreyView {
  const std::uint8_t* pixels = nullptr;  ///< [height, stride]
  std::int64_t width = 0;                ///< >= 1
  std::int64_t height = 0;               ///< >= 1
  std::int64_t stride = 0;               ///< from one row to the next
};

/// Resizes views to width × height, up or down. An output pixel is the mean of the input over the area that
/// it covers, rounded to the nearest (halves up). Keeps its buffers between calls: one per thread.
class AreaResize {
 public:
  /// Both 1 .. 4096.
  AreaResize(std::int64_t width, std::int64_t height);

  /// Writes `output` [height, width]. Sides of the input: 1 .. 65535.
  void operator()(const GreyView& input, std::uint8_t* output);

 private:
  /// The part of an axis that one output pixel covers: `first`, then whole pixels, then `last`.
  struct Span {
    std::int64_t begin = 0;   ///< first pixel touched
    std::int64_t end = 0;     ///< one past the last pixel touched
    std::uint32_t first = 0;  ///< coverage of pixel `begin`, in units of 1 / (output pixels)
    std::uint32_t last = 0;   ///< coverage of pixel `end - 1`; equal to `first` if they are the same pixel
  };
  static std::vector<Span> spans(std::int64_t input, std::int64_t output);
  void sum_rows(const GreyView& input, const Span& rows);

  std::int64_t width_;
  std::int64_t height_;
  std::int64_t input_width_ = 0;
  std::int64_t input_height_ = 0;
  std::vector<Span> columns_;
  std::vector<Span> rows_;
  std::vector<std::uint32_t> inner_;  ///< [input width]: whole rows of the current span
  std::vector<std::uint32_t> sums_;   ///< [input width]: rows weighted by their coverage
};

}  // namespace outerloop::data
