#include "common/evaluation/interval.h"

#include <cmath>
#include <numeric>

namespace outerloop::evaluation {
namespace {

constexpr double kNormal95 = 1.959964;

}  // namespace

Interval interval(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0.0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, values.size() > 1 ? kNormal95 * std::sqrt(squares / (n - 1.0) / n) : 0.0};
}

}  // namespace outerloop::evaluation
