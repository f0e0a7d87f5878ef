#pragma once
// Axis of a chart: range, linear or logarithmic scale, ticks with round numbers and their labels.
#include <string>
#include <utility>
#include <vector>

namespace outerloop::cli {

struct Tick {
  double value = 0.0;
  std::string label;
};

/// A range of values, linear or logarithmic.
class Scale {
 public:
  /// From `low` to `high`, widened if they are equal. `logarithmic` needs low > 0, and is ignored otherwise.
  Scale(double low, double high, bool logarithmic);

  /// 0 at the low end, 1 at the high end; values outside the range extrapolate.
  double place(double value) const;
  bool logarithmic() const { return logarithmic_; }
  double low() const { return low_; }
  double high() const { return high_; }

  /// Round numbers inside the range, about `count` of them (linear: steps of 1, 2 or 5 times a power of ten;
  /// logarithmic: powers of ten, with 2 and 5 between them where there are few).
  /// `least_step`: no smaller steps than this, e.g. 1 for whole numbers.
  std::vector<Tick> ticks(int count, double least_step = 0.0) const;

 private:
  std::vector<Tick> linear_ticks(int count, double least_step) const;
  std::vector<Tick> logarithmic_ticks(int count) const;

  double low_;
  double high_;
  bool logarithmic_;
};

/// `value` with `decimals` places and commas between thousands, e.g. "12,500" or "0.25"; with an exponent
/// where that is shorter to read (beyond 10 million, or more than 4 places).
std::string number_label(double value, int decimals);

/// The values at the given fractions (0 .. 1) of the sorted finite `values`; NaN where there are none.
std::pair<double, double> quantiles(std::vector<double> values, double lower, double upper);

}  // namespace outerloop::cli
