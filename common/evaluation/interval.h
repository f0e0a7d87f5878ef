#pragma once
// A mean and its 95 % confidence interval.
#include <vector>

namespace outerloop::evaluation {

struct Interval {
  double mean = 0.0;
  double half_width = 0.0;  ///< of the 95 % interval, 1.96 standard errors; 0 for a single value
};

/// Of at least one value; NaN if any value is NaN.
Interval interval(const std::vector<double>& values);

}  // namespace outerloop::evaluation
