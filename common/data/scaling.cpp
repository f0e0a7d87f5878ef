#include "common/data/scaling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "common/base/error.h"
#include "common/data/class_split.h"

namespace outerloop::data {
namespace {

constexpr double kLowest = 0.005, kHighest = 0.995;
constexpr std::size_t kLevels = 256, kThresholds = kLevels - 1;
constexpr double kTop = 255.0;
// Columns gathered by one pass over the rows: adjacent in memory.
constexpr std::int64_t kBlock = 16;

constexpr std::array<std::pair<ScalingKind, const char*>, 5> kNames{{{ScalingKind::none, "none"},
                                                                     {ScalingKind::columns, "columns"},
                                                                     {ScalingKind::array, "array"},
                                                                     {ScalingKind::quantiles, "quantiles"},
                                                                     {ScalingKind::ranks, "ranks"}}};

/// Shape of a scaling's numbers: columns, and numbers per column.
struct Shape {
  std::int64_t columns = 0;
  std::int64_t per_column = 0;
};

Shape shape_of(const Scaling& scaling) {
  if (scaling.kind == ScalingKind::ranks) return {scaling.columns, static_cast<std::int64_t>(kThresholds)};
  const bool one = scaling.kind == ScalingKind::none || scaling.kind == ScalingKind::array;
  return {one ? 1 : scaling.columns, 2};
}

std::uint8_t rounded(double share) {
  return static_cast<std::uint8_t>(0.5 + kTop * std::clamp(share, 0.0, 1.0));
}

double raw_number(const WorkingSet& set, std::size_t place) {
  return set.values.empty() ? static_cast<double>(set.pixels[place]) : set.values[place];
}

std::int64_t group_of(const WorkingSet& set, std::int32_t label) {
  return set.groups.empty() ? 0 : set.group_of_class[static_cast<std::size_t>(label)];
}

std::size_t groups_of(const WorkingSet& set) { return std::max<std::size_t>(1, set.groups.size()); }

std::int64_t columns_of(const WorkingSet& set, std::size_t group) {
  return set.groups.empty() ? set.inputs : set.groups[group].inputs;
}

/// Calls each(row's label, where its numbers begin) for every row.
template <class Each>
void for_rows(const WorkingSet& set, const Each& each) {
  std::size_t start = 0;
  for (const std::int32_t label : set.labels) {
    each(label, start);
    start += static_cast<std::size_t>(columns_of(set, static_cast<std::size_t>(group_of(set, label))));
  }
}

/// Offsets of the rows that scalings are fitted to, by group.
std::vector<std::vector<std::size_t>> training_rows(const WorkingSet& set, ClassSplit split) {
  std::vector<bool> takes_part(set.class_names.size(), true);
  if (split != ClassSplit::all)
    for (std::size_t label = 0; label < takes_part.size(); ++label)
      takes_part[label] = !is_held_out(split_name(set, label));
  std::vector<std::vector<std::size_t>> training(groups_of(set)), all(groups_of(set));
  for_rows(set, [&](std::int32_t label, std::size_t start) {
    const auto group = static_cast<std::size_t>(group_of(set, label));
    all[group].push_back(start);
    if (takes_part[static_cast<std::size_t>(label)]) training[group].push_back(start);
  });
  for (std::size_t group = 0; group < training.size(); ++group)
    if (training[group].empty()) training[group].swap(all[group]);
  return training;
}

/// Calls each(column, its numbers, in any order); `each` may change them.
template <class Each>
void for_columns(const WorkingSet& set, const std::vector<std::size_t>& rows, std::int64_t columns,
                 const Each& each) {
  std::array<std::vector<double>, static_cast<std::size_t>(kBlock)> block;
  for (std::int64_t first = 0; first < columns; first += kBlock) {
    const auto count = static_cast<std::size_t>(std::min(kBlock, columns - first));
    for (std::size_t j = 0; j < count; ++j) block[j].resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (std::size_t j = 0; j < count; ++j)
        block[j][i] = raw_number(set, rows[i] + static_cast<std::size_t>(first) + j);
    for (std::size_t j = 0; j < count; ++j) each(first + static_cast<std::int64_t>(j), block[j]);
  }
}

std::pair<double, double> range_of(const std::vector<double>& column) {
  const auto [low, high] = std::minmax_element(column.begin(), column.end());
  return {*low, *high};
}

/// A column that is almost constant, like that of a rare word, keeps its range, since its quantiles are
/// equal.
std::pair<double, double> quantiles_of(std::vector<double>& column) {
  const auto at = [&](double quantile) {
    const auto place = static_cast<std::ptrdiff_t>(quantile * static_cast<double>(column.size() - 1) + 0.5);
    std::nth_element(column.begin(), column.begin() + place, column.end());
    return column[static_cast<std::size_t>(place)];
  };
  const std::pair<double, double> quantiles{at(kLowest), at(kHighest)};
  return quantiles.first < quantiles.second ? quantiles : range_of(column);
}

/// The level is the share of smaller numbers, 255 for the largest: a column that is mostly 0 keeps its zeros
/// at 0. Threshold k is the smallest number whose level is above k. A constant column is 0 throughout.
void append_thresholds(std::vector<double>& column, std::vector<double>& numbers) {
  std::sort(column.begin(), column.end());
  const auto below = [&](double x) {
    return std::lower_bound(column.begin(), column.end(), x) - column.begin();
  };
  const std::ptrdiff_t most = below(column.back());
  std::size_t reached = 0;
  for (std::size_t i = 0; i < column.size() && most > 0; ++i) {
    if (i > 0 && column[i] == column[i - 1]) continue;
    const std::size_t level = rounded(static_cast<double>(i) / static_cast<double>(most));
    for (; reached < level; ++reached) numbers.push_back(column[i]);
  }
  for (; reached < kThresholds; ++reached) numbers.push_back(std::numeric_limits<double>::infinity());
}

Scaling fit(ScalingKind kind, const WorkingSet& set, const std::vector<std::size_t>& rows,
            std::int64_t columns) {
  Scaling scaling{kind, columns, {}};
  if (kind == ScalingKind::none) {
    scaling.numbers = {0.0, set.values.empty() ? kTop : 1.0};
    return scaling;
  }
  for_columns(set, rows, columns, [&](std::int64_t column, std::vector<double>& numbers) {
    if (kind == ScalingKind::ranks) return append_thresholds(numbers, scaling.numbers);
    const auto [low, high] = kind == ScalingKind::quantiles ? quantiles_of(numbers) : range_of(numbers);
    if (kind == ScalingKind::array && column > 0) {
      scaling.numbers[0] = std::min(scaling.numbers[0], low);
      scaling.numbers[1] = std::max(scaling.numbers[1], high);
    } else {
      scaling.numbers.insert(scaling.numbers.end(), {low, high});
    }
  });
  return scaling;
}

void check_unscaled(const WorkingSet& set, const std::string& name) {
  for (const double value : set.values)
    if (!(value >= 0.0 && value <= 1.0))
      throw InputError(name + ": inputs.scaling: none takes bytes, and other numbers from 0 to 1; here is " +
                       std::to_string(value) + ": choose another, quantiles for one");
}

}  // namespace

const char* scaling_name(ScalingKind kind) {
  for (const auto& [known, name] : kNames)
    if (known == kind) return name;
  return "";
}

ScalingKind scaling_of_name(const std::string& name) {
  std::string all;
  for (const auto& [kind, known] : kNames) {
    if (name == known) return kind;
    all += std::string(all.empty() ? "" : ", ") + known;
  }
  throw InputError("scaling \"" + name + "\" is not known: take one of " + all);
}

void check_scaling(const Scaling& scaling, const std::string& name) {
  const Shape shape = shape_of(scaling);
  const auto& numbers = scaling.numbers;
  bool fits = scaling.columns > 0 && numbers.size() % static_cast<std::size_t>(shape.per_column) == 0 &&
              static_cast<std::int64_t>(numbers.size()) / shape.per_column == shape.columns;
  for (std::size_t i = 0; fits && i < numbers.size(); ++i) {
    const bool first = i % static_cast<std::size_t>(shape.per_column) == 0;
    const bool endless = scaling.kind == ScalingKind::ranks && numbers[i] > 0.0;
    fits = !std::isnan(numbers[i]) && (endless || std::isfinite(numbers[i])) &&
           (first || numbers[i - 1] <= numbers[i]);
  }
  if (!fits)
    throw InputError(name + ": " + std::to_string(numbers.size()) + " numbers are no scaling by " +
                     scaling_name(scaling.kind) + " of " + std::to_string(scaling.columns) +
                     " columns: make the file again");
}

std::uint8_t Scaling::level(std::int64_t column, double x) const {
  const Shape shape = shape_of(*this);
  const double* of_column = numbers.data() + (shape.columns == 1 ? 0 : column) * shape.per_column;
  if (kind == ScalingKind::ranks)
    return static_cast<std::uint8_t>(std::upper_bound(of_column, of_column + kThresholds, x) - of_column);
  const double low = of_column[0], high = of_column[1];
  // Halved, so that the largest doubles do not overflow.
  return low < high ? rounded((x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)) : std::uint8_t{0};
}

std::vector<Scaling> fit_scalings(ScalingKind kind, const WorkingSet& training, ClassSplit split) {
  const std::vector<std::vector<std::size_t>> rows = training_rows(training, split);
  std::vector<Scaling> scalings;
  for (std::size_t group = 0; group < rows.size(); ++group)
    scalings.push_back(fit(kind, training, rows[group], columns_of(training, group)));
  return scalings;
}

void scale_vectors(const std::vector<Scaling>& scalings, const std::string& name, WorkingSet& set) {
  OUTERLOOP_CHECK_EQ(scalings.size(), groups_of(set));
  for (std::size_t group = 0; group < scalings.size(); ++group)
    OUTERLOOP_CHECK_EQ(scalings[group].columns, columns_of(set, group));
  if (scalings.front().kind == ScalingKind::none) check_unscaled(set, name);
  if (!set.values.empty()) set.pixels.resize(set.values.size());
  for_rows(set, [&](std::int32_t label, std::size_t start) {
    const Scaling& scaling = scalings[static_cast<std::size_t>(group_of(set, label))];
    for (std::int64_t column = 0; column < scaling.columns; ++column) {
      const std::size_t place = start + static_cast<std::size_t>(column);
      set.pixels[place] = scaling.level(column, raw_number(set, place));
    }
  });
  set.values = {};
}

}  // namespace outerloop::data
