#pragma once
// Scaling of vectors: maps columns in any unit to the 256 levels that tasks use.
//
// A scaling is fitted to the training part of a dataset and stored with it: training, evaluation, baselines
// and `outerloop apply` use the same levels. docs/data.md says when to use which kind.
#include <cstdint>
#include <string>
#include <vector>

#include "common/data/request.h"
#include "common/data/working_set.h"

namespace outerloop::data {

/// The parameters of a scaling as plain numbers, so that a file can store them. check_scaling() validates
/// those from a file.
struct Scaling {
  ScalingKind kind = ScalingKind::quantiles;
  std::int64_t columns = 0;
  /// none, array: [2], low and high of all columns. columns, quantiles: [columns, 2], low and high of each.
  /// ranks: [columns, 255], ascending; a number's level is the count of those that do not exceed it.
  std::vector<double> numbers;

  /// The level of number `x` of a column: 255 (x - low) / (high - low), rounded and clipped to 0..255; 0
  /// where low = high.
  std::uint8_t level(std::int64_t column, double x) const;
};

const char* scaling_name(ScalingKind kind);
/// Throws InputError that lists the kinds.
ScalingKind scaling_of_name(const std::string& name);

/// Throws InputError beginning with `name` where the number of values does not fit kind and columns, or
/// values are out of order or NaN.
void check_scaling(const Scaling& scaling, const std::string& name);

/// Fits to the vectors of a dataset's training part: one scaling, or one per group if `training` has groups.
/// Only the training classes of the class split are used, unless `split` is all; if there are none (in a
/// group), all classes are used. Labels have no other effect.
std::vector<Scaling> fit_scalings(ScalingKind kind, const WorkingSet& training, ClassSplit split);

/// Replaces the raw numbers of a set's vectors by their levels, in `pixels`. Throws InputError beginning with
/// `name` where the scaling is `none` and a number is neither a byte nor within 0..1.
void scale_vectors(const std::vector<Scaling>& scalings, const std::string& name, WorkingSet& set);

}  // namespace outerloop::data
