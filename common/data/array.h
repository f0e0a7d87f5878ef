#pragma once
// Datasets from arrays in NPY and HDF5 files: shapes, images as bytes, labels.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/data/working_set.h"

namespace outerloop::data {

/// Row-major. Unsigned bytes are in `bytes`, numbers of every other type in `numbers`; the other one is
/// empty.
struct Array {
  std::vector<std::int64_t> shape;  ///< each >= 1
  std::vector<std::uint8_t> bytes;
  std::vector<double> numbers;

  bool is_bytes() const { return numbers.empty(); }
};

/// Largest number of elements; a larger array is rejected before anything is allocated.
constexpr std::int64_t kMostElements = std::int64_t{1} << 31;

/// The product of the extents. Throws InputError, beginning with `name`, for none or more than four axes, an
/// extent below one, or more than kMostElements.
std::int64_t count_elements(const std::vector<std::int64_t>& shape, const std::string& name);

/// Examples `x`: [n, inputs] is vectors; [n, side, side] is grey images; [n, side, side, 1] too, and
/// [n, side, side, 3] is bytes of red, green and blue. Bytes are used unchanged. Images of other numbers are
/// scaled linearly to bytes, from the smallest to the largest number of the array; vectors stay raw.
/// `labels`: [n] whole numbers; each distinct one is a class, named by its digits, in ascending order;
/// without labels all examples are in one class, "all". Throws InputError beginning with `name`: other
/// shapes, more than 65,536 inputs or 1024 pixels a side, numbers that are not finite, labels that are not
/// whole, not one per example, or of more than 65,536 classes.
WorkingSet array_set(Array x, const std::optional<Array>& labels, const std::string& name);

}  // namespace outerloop::data
