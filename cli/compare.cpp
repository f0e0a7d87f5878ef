#include "cli/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace outerloop::cli {
namespace {

using rule::TensorSpec;

Difference compare_tensor(const store::RuleFile& a, const TensorSpec& left, const store::RuleFile& b) {
  Difference difference;
  difference.name = left.name;
  if (!b.layout.contains(left.name)) {
    difference.where = "only in the first";
    return difference;
  }
  const auto& right = b.layout.at(left.name);
  if (left.shape != right.shape) {
    difference.where = shape_text(left.shape) + " against " + shape_text(right.shape);
    return difference;
  }
  difference.where = "both";
  difference.equal = true;
  double sum = 0.0, largest = 0.0;
  for (std::int64_t i = 0; i < left.size(); ++i) {
    const double x = a.theta[static_cast<std::size_t>(left.offset + i)];
    const double y = b.theta[static_cast<std::size_t>(right.offset + i)];
    const bool equal = (x == y && std::signbit(x) == std::signbit(y)) || (std::isnan(x) && std::isnan(y));
    difference.equal = difference.equal && equal;
    const double delta = equal ? 0.0 : x - y;
    sum += delta * delta;
    largest = std::isnan(delta) ? delta : std::max(largest, std::abs(delta));
  }
  const double scale = std::max(summarize(a.theta, left.offset, left.size()).norm,
                                summarize(b.theta, right.offset, right.size()).norm);
  difference.relative = sum == 0.0 ? 0.0 : std::sqrt(sum) / scale;
  difference.largest = largest;
  return difference;
}

}  // namespace

TensorSummary summarize(const std::vector<double>& values, std::int64_t first, std::int64_t count) {
  TensorSummary summary;
  double sum = 0.0;
  for (std::int64_t i = first; i < first + count; ++i) {
    const double value = values[static_cast<std::size_t>(i)];
    sum += value * value;
    summary.finite = summary.finite && std::isfinite(value);
  }
  summary.norm = std::sqrt(sum);
  return summary;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::vector<Difference> compare(const store::RuleFile& a, const store::RuleFile& b) {
  std::vector<Difference> differences;
  for (const auto& tensor : a.layout.tensors()) differences.push_back(compare_tensor(a, tensor, b));
  for (const auto& tensor : b.layout.tensors()) {
    if (a.layout.contains(tensor.name)) continue;
    Difference difference;
    difference.name = tensor.name;
    difference.where = "only in the second";
    differences.push_back(difference);
  }
  return differences;
}

bool all_equal(const std::vector<Difference>& differences) {
  return std::all_of(differences.begin(), differences.end(), [](const auto& d) { return d.equal; });
}

}  // namespace outerloop::cli
