#include "cli/figures/chart_axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace outerloop::cli {

Scale::Scale(double low, double high, bool logarithmic)
    : low_(std::min(low, high)), high_(std::max(low, high)), logarithmic_(logarithmic && low_ > 0.0) {
  if (!std::isfinite(low_) || !std::isfinite(high_)) {
    low_ = logarithmic ? 1.0 : 0.0;
    high_ = 10.0;
    logarithmic_ = logarithmic;
  }
  // In a narrower range the labels of the ticks would be equal.
  const double least = std::max(std::abs(low_), std::abs(high_)) * 1e-6;
  if (high_ - low_ > least) return;
  const double half = low_ == 0.0 ? 0.5 : std::abs(low_) * 0.1;
  low_ -= half;
  high_ += half;
}

double Scale::place(double value) const {
  if (!logarithmic_) return (value - low_) / (high_ - low_);
  if (value <= 0.0) return -1.0;
  return std::log(value / low_) / std::log(high_ / low_);
}

std::string number_label(double value, int decimals) {
  if (value == 0.0) return "0";
  if (std::abs(value) >= 1e7 || decimals > 4) return fmt::format("{:.3g}", value);
  std::string text = fmt::format("{:.{}f}", value, std::max(0, decimals));
  const std::size_t end = std::min(text.find('.'), text.size());
  const std::size_t begin = text[0] == '-' ? 1 : 0;
  for (std::size_t place = end; place > begin + 3; place -= 3) text.insert(place - 3, ",");
  return text;
}

std::vector<Tick> Scale::ticks(int count, double least_step) const {
  if (!logarithmic_) return linear_ticks(count, least_step);
  auto found = logarithmic_ticks(count);
  return found.size() >= 2 ? found : linear_ticks(count, least_step);
}

std::vector<Tick> Scale::linear_ticks(int count, double least_step) const {
  const double rough = std::max(least_step, (high_ - low_) / std::max(1, count));
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double fraction = rough / power;
  const double step = power * (fraction <= 1.0 ? 1.0 : fraction <= 2.0 ? 2.0 : fraction <= 5.0 ? 5.0 : 10.0);
  const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  std::vector<Tick> ticks;
  const double first = std::ceil(low_ / step - 1e-9);
  const double last = std::floor(high_ / step + 1e-9);
  for (double i = first; i <= last; i += 1.0) ticks.push_back({i * step, number_label(i * step, decimals)});
  return ticks;
}

std::vector<Tick> Scale::logarithmic_ticks(int count) const {
  const int first = static_cast<int>(std::floor(std::log10(low_)));
  const int last = static_cast<int>(std::ceil(std::log10(high_)));
  const bool between = std::log10(high_ / low_) < 2.0;
  const int every = std::max(1, (last - first) / std::max(1, count));
  std::vector<Tick> ticks;
  for (int exponent = first; exponent <= last; exponent += every) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * std::pow(10.0, exponent);
      if ((factor > 1.0 && !between) || value < low_ * (1 - 1e-9) || value > high_ * (1 + 1e-9)) continue;
      ticks.push_back({value, number_label(value, -exponent)});
    }
  }
  return ticks;
}

std::pair<double, double> quantiles(std::vector<double> values, double lower, double upper) {
  values.erase(std::remove_if(values.begin(), values.end(), [](double v) { return !std::isfinite(v); }),
               values.end());
  if (values.empty())
    return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
  std::sort(values.begin(), values.end());
  const auto at = [&](double fraction) {
    return values[static_cast<std::size_t>(std::lround(fraction * static_cast<double>(values.size() - 1)))];
  };
  return {at(lower), at(upper)};
}

}  // namespace outerloop::cli
