#pragma once
// Writer of a task's minibatches: each row is an example, resized, augmented, inverted and permuted, with its
// targets.
#include <array>
#include <cstdint>
#include <vector>

#include "common/data/augmentation.h"
#include "common/data/resize.h"
#include "common/data/task.h"

namespace outerloop::data {

/// Number of regression targets that follow the one-hot classes in a task's labelled minibatches: the
/// coefficients of its augmentation, if options.augmentation.target_scale is above 0, in the order of
/// target_columns (augmentation.h), then the example's score, if the dataset has scores. 0 for rules that
/// train on labels.
std::int64_t regression_targets(const Task& task, const Dataset& dataset, const TaskOptions& options);

/// Writes one inner step's examples. All references must outlive it.
class BatchWriter {
 public:
  /// `first` is the first element of the step's noise; its coefficients' is kCoefficientElements times that.
  BatchWriter(const Task& task, const Dataset& dataset, const TaskOptions& options, std::uint64_t seed,
              std::uint32_t first);

  /// An empty minibatch. Its targets are the classes and, if it is labelled, the regression targets.
  rule::Batch empty(std::int64_t examples, bool labelled) const;

  /// Writes example `example` of the dataset, whose class is the task's `label`, into a row. An example's
  /// augmentation depends on its position in the order of these calls.
  void write(std::int32_t example, std::size_t label, std::int64_t row, rule::Batch& batch);

 private:
  double shown(double value) const { return task_.gain * (task_.inverted ? 1.0 - value : value); }
  const std::uint8_t* resized(std::int32_t example);
  void write_targets(std::int32_t example, const Coefficients& coefficients, double* targets) const;

  const Task& task_;
  const Dataset& dataset_;
  const TaskOptions& options_;
  std::int64_t classes_;
  std::int64_t regression_;
  rule::Random coefficients_;
  rule::Random noise_;
  std::uint32_t next_;
  Augmenter augmenter_;
  AreaResize resize_;
  std::vector<std::uint8_t> small_;  ///< [inputs], where the task's images are smaller than the dataset's
  std::array<double, 256> values_;   ///< of every pixel, without augmentation
};

}  // namespace outerloop::data
