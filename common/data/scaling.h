#pragma once
// Scaling of vectors: how columns of any unit come to lie in the 256 levels that tasks show.
//
// A scaling is fitted to the training part of a dataset and belongs to it: training, evaluation, baselines
// and `outerloop apply` see the same levels. docs/data.md says which kind is for what.
#include <cstdint>
#include <string>
#include <vector>

#include "common/data/request.h"
#include "common/data/working_set.h"

namespace outerloop::data {

/// The numbers of a scaling: plain values, for a file to keep. check_scaling() looks at those of a file.
struct Scaling {
  ScalingKind kind = ScalingKind::quantiles;
  std::int64_t columns = 0;
  /// none, array: [2], low and high of all columns. columns, quantiles: [columns, 2], low and high of each.
  /// ranks: [columns, 255], rising; a number's level is the count of those that do not exceed it.
  std::vector<double> numbers;

  /// The level of number `x` of a column: 255 (x - low) / (high - low), rounded and clipped to 0..255; 0
  /// where low = high.
  std::uint8_t level(std::int64_t column, double x) const;
};

const char* scaling_name(ScalingKind kind);
/// Throws InputError that lists the kinds.
ScalingKind scaling_of_name(const std::string& name);

/// Throws InputError beginning with `name` where the numbers are not as many as kind and columns ask for, not
/// in order, or not numbers.
void check_scaling(const Scaling& scaling, const std::string& name);

/// Fits to the vectors of a dataset's training part: one scaling, or one of each group where `training` has
/// groups. Of its classes those count that the class split leaves for training, unless `split` is all; where
/// it leaves none (of a group), all count. Labels play no other part.
std::vector<Scaling> fit_scalings(ScalingKind kind, const WorkingSet& training, ClassSplit split);

/// Replaces the raw numbers of a set's vectors by their levels, in `pixels`. Throws InputError beginning with
/// `name` where `none` meets a number that is neither a byte nor within 0..1.
void scale_vectors(const std::vector<Scaling>& scalings, const std::string& name, WorkingSet& set);

}  // namespace outerloop::data
