#pragma once
// Nearest-mean and k-nearest-neighbour classifiers, by Euclidean distance on unscaled features. Neither has a
// hyper-parameter.
#include <cstdint>
#include <vector>

#include "common/rule/base_model.h"

namespace outerloop::baselines {

/// ‖x_i − c_j‖² from every row of `x` to every row of `centres`, [x.rows, centres.rows]. Throws Error where
/// their numbers of columns differ.
rule::Matrix squared_distances(const rule::Matrix& x, const rule::Matrix& centres);

/// For every row of `test` the class whose labelled examples have the nearest mean. Classes without an
/// example are never predicted. Throws Error where sizes or labels do not fit.
std::vector<std::int32_t> nearest_mean(const rule::Matrix& train, const std::vector<std::int32_t>& labels,
                                       std::int64_t classes, const rule::Matrix& test);

/// For every row of `test` the majority class of its `neighbours` nearest labelled examples; ties go to the
/// class of the nearest example. Throws Error where sizes or labels do not fit.
std::vector<std::int32_t> nearest_neighbours(const rule::Matrix& train,
                                             const std::vector<std::int32_t>& labels, std::int64_t classes,
                                             const rule::Matrix& test, std::int64_t neighbours);

}  // namespace outerloop::baselines
