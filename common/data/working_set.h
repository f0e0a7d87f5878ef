#pragma once
// A dataset as it was decoded, rendered or cropped, before it is resized to what a request asks for.
#include <cstdint>
#include <string>
#include <vector>

namespace outerloop::data {

/// Side of the images that are rendered or cropped; requests are resized from it.
constexpr std::int64_t kWorkingSide = 28;

struct WorkingSet {
  std::int64_t side = 0;                 ///< images are side × side
  std::vector<std::string> class_names;  ///< index = label
  std::vector<std::int32_t> labels;      ///< [examples], each in 0 .. classes - 1
  std::vector<std::uint8_t> pixels;      ///< [examples, side * side], grey

  std::int64_t examples() const { return static_cast<std::int64_t>(labels.size()); }
};

}  // namespace outerloop::data
