#include "common/data/array.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "common/base/error.h"
#include "common/data/image.h"

namespace outerloop::data {
namespace {

constexpr std::size_t kMaxAxes = 4;
constexpr std::int64_t kMaxInputs = 65536;
constexpr std::int64_t kMaxSide = 1024;
constexpr std::size_t kMaxClasses = 65536;
constexpr double kLargestLabel = 9007199254740992.0;  // 2^53: beyond it doubles skip whole numbers

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t extent : shape) text += (text.empty() ? "" : ", ") + std::to_string(extent);
  return "[" + text + "]";
}

/// Sets side for images, inputs for vectors.
void set_shape(const std::vector<std::int64_t>& shape, const std::string& name, WorkingSet& set) {
  const bool images = shape.size() == 3 || shape.size() == 4;
  if (shape.size() < 2 || (images && shape[1] != shape[2]) ||
      (shape.size() == 4 && shape[3] != 1 && shape[3] != 3))
    throw InputError(name + ": an array of shape " + shape_text(shape) +
                     ", read are [n, inputs], [n, side, side] and [n, side, side, 1 or 3]: reshape it");
  (images ? set.side : set.inputs) = shape[1];
  const std::int64_t most = images ? kMaxSide : kMaxInputs;
  if (shape[1] > most)
    throw InputError(name + ": an array of shape " + shape_text(shape) + ", up to " + std::to_string(most) +
                     (images ? " pixels a side" : " inputs") + " are read: make it smaller");
}

void check_finite(const std::vector<double>& numbers, const std::string& name) {
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (!std::isfinite(numbers[i]))
      throw InputError(name + ": number " + std::to_string(i) + " is not finite: replace it");
}

/// Scales numbers to bytes, the smallest to 0 and the largest to 255.
std::vector<std::uint8_t> to_bytes(const std::vector<double>& numbers) {
  const auto [low, high] = std::minmax_element(numbers.begin(), numbers.end());
  std::vector<std::uint8_t> bytes(numbers.size());
  // Halved, so that the largest doubles do not overflow; a constant array becomes 0.
  const double from = *low / 2.0, range = *high / 2.0 - from;
  for (std::size_t i = 0; i < numbers.size() && range > 0.0; ++i)
    bytes[i] = static_cast<std::uint8_t>(std::lround(255.0 * ((numbers[i] / 2.0 - from) / range)));
  return bytes;
}

void set_labels(const Array& labels, std::int64_t examples, const std::string& name, WorkingSet& set) {
  if (labels.shape.size() != 1 || labels.shape[0] != examples)
    throw InputError(name + ": labels of shape " + shape_text(labels.shape) + " for " +
                     std::to_string(examples) + " examples: give one label per example");
  const auto label_at = [&](std::size_t i) {
    return labels.is_bytes() ? static_cast<double>(labels.bytes[i]) : labels.numbers[i];
  };
  const auto count = static_cast<std::size_t>(examples);
  std::map<std::int64_t, std::int32_t> classes;
  for (std::size_t i = 0; i < count; ++i) {
    const double label = label_at(i);
    if (!(std::abs(label) <= kLargestLabel) || label != std::floor(label))
      throw InputError(name + ": label " + std::to_string(label) + " of example " + std::to_string(i) +
                       " is no whole number: labels are classes");
    classes.emplace(static_cast<std::int64_t>(label), 0);
    if (classes.size() > kMaxClasses)
      throw InputError(name + ": more than " + std::to_string(kMaxClasses) +
                       " different labels: labels are classes");
  }
  for (auto& [label, place] : classes) {
    place = static_cast<std::int32_t>(set.class_names.size());
    set.class_names.push_back(std::to_string(label));
  }
  for (std::size_t i = 0; i < count; ++i)
    set.labels.push_back(classes.at(static_cast<std::int64_t>(label_at(i))));
}

/// Ranges of the numbers before they are scaled to bytes. The ranges of bytes follow from the pixels.
void set_ranges(const Array& x, WorkingSet& set) {
  set.ranges.assign(set.class_names.size(), {HUGE_VAL, -HUGE_VAL});
  const std::size_t step = x.numbers.size() / set.labels.size();
  for (std::size_t i = 0; i < set.labels.size(); ++i) {
    const auto first = x.numbers.begin() + static_cast<std::ptrdiff_t>(i * step);
    const auto [low, high] = std::minmax_element(first, first + static_cast<std::ptrdiff_t>(step));
    ValueRange& range = set.ranges[static_cast<std::size_t>(set.labels[i])];
    range = {std::min(range.low, *low), std::max(range.high, *high)};
  }
}

}  // namespace

std::int64_t count_elements(const std::vector<std::int64_t>& shape, const std::string& name) {
  if (shape.empty() || shape.size() > kMaxAxes)
    throw InputError(name + ": an array of " + std::to_string(shape.size()) +
                     " axes, 1 to 4 are read: reshape it");
  std::int64_t elements = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 1) throw InputError(name + ": an array of shape " + shape_text(shape) + " holds nothing");
    if (extent > kMostElements / elements)
      throw InputError(name + ": an array of shape " + shape_text(shape) +
                       " has more than 2^31 elements: take a part of it");
    elements *= extent;
  }
  return elements;
}

WorkingSet array_set(Array x, const std::optional<Array>& labels, const std::string& name) {
  WorkingSet set;
  set_shape(x.shape, name, set);
  check_finite(x.numbers, name);
  const std::int64_t examples = x.shape[0];
  if (labels.has_value()) {
    set_labels(*labels, examples, name, set);
  } else {
    set.class_names = {"all"};
    set.labels.assign(static_cast<std::size_t>(examples), 0);
  }
  if (!x.is_bytes()) set_ranges(x, set);
  if (x.shape.size() == 4 && x.shape[3] == 3) {
    if (!x.is_bytes()) throw InputError(name + ": colour images that are no unsigned bytes: convert them");
    set.pixels.resize(x.bytes.size() / 3);
    luminance(x.bytes.data(), set.pixels.size(), set.pixels.data());
  } else {
    set.pixels = x.is_bytes() || set.side == 0 ? std::move(x.bytes) : to_bytes(x.numbers);
    if (set.side == 0) set.values = std::move(x.numbers);
  }
  return set;
}

}  // namespace outerloop::data
