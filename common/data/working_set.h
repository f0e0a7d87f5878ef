#pragma once
// A working set: the examples of a dataset as returned by its reader or renderer, before vectors are scaled
// and classes selected.
#include <cstdint>
#include <string>
#include <vector>

namespace outerloop::data {

/// Side of rendered or cropped images; they are resized to the requested size.
constexpr std::int64_t kWorkingSide = 28;

/// A group of classes with its own number of inputs. A task's classes come from one group, and the class
/// split uses the group's name.
struct ClassGroup {
  std::string name;
  std::int64_t inputs = 0;  ///< numbers per example
};

/// Smallest and largest value of a class.
struct ValueRange {
  double low = 0.0;
  double high = 0.0;
};

/// Images where `side` is above 0, vectors of `inputs` numbers elsewhere.
struct WorkingSet {
  std::int64_t side = 0;                     ///< images are side × side; 0: plain vectors
  std::int64_t inputs = 0;                   ///< numbers per example if side is 0; the most of any group
  std::vector<std::string> class_names;      ///< index = label
  std::vector<std::int32_t> labels;          ///< [examples], each in 0 .. classes - 1
  std::vector<ClassGroup> groups;            ///< empty: classes are not grouped
  std::vector<std::int32_t> group_of_class;  ///< [classes], where there are groups
  /// [examples, numbers()]: grey, 0..255 for 0..1. Vectors are raw, e.g. counts, until scale_vectors()
  /// (scaling.h). If there are groups, each example has as many numbers as its group.
  std::vector<std::uint8_t> pixels;
  /// Raw vectors other than bytes, laid out like `pixels`, which are then empty.
  std::vector<double> values;
  std::vector<float> scores;  ///< [examples] a number to predict, e.g. a rating; or empty
  /// [classes] before scaling and resizing: pictures 0..255, arrays unscaled; empty: the range of the pixels.
  std::vector<ValueRange> ranges;
  std::vector<std::string> remarks;  ///< for the user, a line each: what was skipped or changed, and why
  bool complete = true;  ///< false: a file could not be read this time, so that this set is never cached

  std::int64_t examples() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t numbers() const { return side > 0 ? side * side : inputs; }
};

}  // namespace outerloop::data
