#pragma once
// A working set: the examples of a dataset as its reader or renderer returns them, before vectors are scaled
// and classes selected.
#include <cstdint>
#include <string>
#include <vector>

namespace outerloop::data {

/// Side of the images that are rendered or cropped; requests are resized from it.
constexpr std::int64_t kWorkingSide = 28;

/// Classes whose examples are vectors of a length of their own: a task's classes come from one group, and the
/// class split goes by the group's name.
struct ClassGroup {
  std::string name;
  std::int64_t inputs = 0;  ///< numbers per example
};

/// The smallest and the largest value of a class.
struct ValueRange {
  double low = 0.0;
  double high = 0.0;
};

/// Images where `side` is above 0, vectors of `inputs` numbers elsewhere.
struct WorkingSet {
  std::int64_t side = 0;                     ///< images are side × side; 0: plain vectors
  std::int64_t inputs = 0;                   ///< numbers per example where side is 0; the most of any group
  std::vector<std::string> class_names;      ///< index = label
  std::vector<std::int32_t> labels;          ///< [examples], each in 0 .. classes - 1
  std::vector<ClassGroup> groups;            ///< none: all classes are alike
  std::vector<std::int32_t> group_of_class;  ///< [classes], where there are groups
  /// [examples, numbers()]: grey, 0..255 for 0..1. Vectors are raw, e.g. counts, until scale_vectors()
  /// (scaling.h). Where there are groups, each example has as many numbers as its group.
  std::vector<std::uint8_t> pixels;
  /// Raw vectors that are no bytes, laid out as `pixels`, which are empty then.
  std::vector<double> values;
  std::vector<float> scores;  ///< [examples] a number to predict, e.g. a rating; or empty
  /// [classes] before anything is scaled or resized: pictures 0..255, arrays as they are; empty: of pixels.
  std::vector<ValueRange> ranges;
  std::vector<std::string> remarks;  ///< for the user, a line each: what was passed over or changed, and why
  bool complete = true;  ///< false: a file could not be read this time, so that this set is never cached

  std::int64_t examples() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t numbers() const { return side > 0 ? side * side : inputs; }
};

}  // namespace outerloop::data
