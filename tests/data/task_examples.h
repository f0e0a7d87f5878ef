#pragma once
// A dataset whose pixels identify their example, and options for small tasks of it.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "common/data/task.h"

namespace outerloop::tests {

/// Example `row` of class c has the value row in pixel 0, c in pixel 1, and a position-dependent value in the
/// others.
inline std::shared_ptr<const data::Dataset> dataset(const std::string& name, std::int64_t classes,
                                                    std::int64_t per_class, std::int64_t inputs = 9) {
  auto result = std::make_shared<data::Dataset>();
  result->name = name;
  result->size = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(inputs))));
  result->inputs = inputs;
  result->examples_of_class.resize(static_cast<std::size_t>(classes));
  for (std::int64_t row = 0; row < classes * per_class; ++row) {
    const std::int64_t c = row % classes;
    result->labels.push_back(static_cast<std::int32_t>(c));
    result->examples_of_class[static_cast<std::size_t>(c)].push_back(static_cast<std::int32_t>(row));
    for (std::int64_t p = 0; p < inputs; ++p)
      result->pixels.push_back(static_cast<std::uint8_t>(p == 0 ? row : p == 1 ? c : 10 * p));
  }
  for (std::int64_t c = 0; c < classes; ++c) result->class_names.push_back(std::to_string(c));
  return result;
}

inline data::TaskOptions small_options() {
  data::TaskOptions options;
  options.sizes = {16, {1, 3}, {8, 11}, {10, 100}};
  options.way = {3, 5};
  options.subclasses = {1, 1};
  options.labelled_per_class = 4;
  options.output_units = 6;
  options.permute_probability = 1.0;
  return options;
}

inline bool equal(const data::Task& a, const data::Task& b) {
  return a.dataset == b.dataset && a.classes == b.classes && a.permutation == b.permutation &&
         a.architecture == b.architecture && a.inner_steps == b.inner_steps && a.inverted == b.inverted &&
         a.gain == b.gain;
}

/// Pixel p of a row, found through the task's permutation.
inline int pixel_of(const data::Task& task, const rule::Batch& batch, std::int64_t row, std::int32_t p) {
  const auto at = std::find(task.permutation.begin(), task.permutation.end(), p) - task.permutation.begin();
  const double x = batch.x[static_cast<std::size_t>(row * batch.inputs + at)] / task.gain;
  return static_cast<int>(std::lround(255.0 * (task.inverted ? 1.0 - x : x)));
}

}  // namespace outerloop::tests
