#include "coordinator/domain_conflict.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace outerloop::coordinator {
namespace {

constexpr std::size_t kTenths = 10;
constexpr double kStandardErrors = 3.0;
constexpr double kLeastChange = 0.01;  // relative

using Means = std::array<double, kTenths>;

/// Means over each tenth; NaN where a row is NaN.
Means means_of(const std::vector<double>& column) {
  constexpr auto kRows = static_cast<std::size_t>(kConflictUpdates) / kTenths;
  Means means{};
  auto row = column.end() - static_cast<std::ptrdiff_t>(kTenths * kRows);
  for (double& mean : means) {
    mean = std::accumulate(row, row + static_cast<std::ptrdiff_t>(kRows), 0.0) / static_cast<double>(kRows);
    row += static_cast<std::ptrdiff_t>(kRows);
  }
  return means;
}

/// The change along the fitted line, with its sign; 0 if it is not significant.
double clear_change(const Means& y) {
  constexpr double kMiddle = (kTenths - 1) / 2.0;
  const double mean = std::accumulate(y.begin(), y.end(), 0.0) / kTenths;
  double xx = 0.0, xy = 0.0, yy = 0.0;
  for (std::size_t i = 0; i < kTenths; ++i) {
    const double x = static_cast<double>(i) - kMiddle;
    xx += x * x;
    xy += x * (y[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  const double slope = xy / xx;
  const double rest = std::max(0.0, yy - slope * xy);
  const double error = std::sqrt(rest / (kTenths - 2) / xx);
  const double change = slope * (kTenths - 1);
  const bool clear =
      std::abs(slope) > kStandardErrors * error && std::abs(change) > kLeastChange * std::abs(mean);
  return clear ? change : 0.0;  // NaN counts as not significant
}

}  // namespace

std::optional<DomainConflict> domain_conflict(const std::map<std::string, std::vector<double>>& history) {
  const std::string prefix = std::string(kDomainColumn) + ".";
  DomainConflict conflict;
  double most = 0.0, least = 0.0;
  for (const auto& [name, column] : history) {
    const bool known = static_cast<std::int64_t>(column.size()) >= kConflictUpdates;
    if (!known || name.compare(0, prefix.size(), prefix) != 0) continue;
    const Means means = means_of(column);
    const DomainTrend trend{name.substr(prefix.size()), means.front(), means.back()};
    const double change = clear_change(means);
    if (change > most) {
      most = change;
      conflict.rising = trend;
    } else if (change < least) {
      least = change;
      conflict.falling = trend;
    }
  }
  if (!(most > 0.0 && least < 0.0)) return std::nullopt;
  return conflict;
}

}  // namespace outerloop::coordinator
