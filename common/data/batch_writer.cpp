#include "common/data/batch_writer.h"

#include <algorithm>

namespace outerloop::data {
namespace {

bool has_targets(const Task& task, const TaskOptions& options) {
  return task.augmented && options.augmentation.target_scale > 0.0;
}

}  // namespace

std::int64_t regression_targets(const Task& task, const Dataset& dataset, const TaskOptions& options) {
  if (options.output_units == 0) return 0;
  const std::int64_t coefficients =
      has_targets(task, options) ? target_columns(options.augmentation, dataset.size > 0) : 0;
  return coefficients + (dataset.scores.empty() ? 0 : 1);
}

BatchWriter::BatchWriter(const Task& task, const Dataset& dataset, const TaskOptions& options,
                         std::uint64_t seed, std::uint32_t first)
    : task_(task),
      dataset_(dataset),
      options_(options),
      classes_(task.way()),
      regression_(regression_targets(task, dataset, options)),
      coefficients_(seed, task.stream, task.index, rule::Purpose::example_augmentation),
      noise_(seed, task.stream, task.index, rule::Purpose::noise),
      next_(first),
      augmenter_(task.side, task.architecture.inputs()),
      resize_(std::max<std::int64_t>(1, task.side), std::max<std::int64_t>(1, task.side)) {
  if (task.side != dataset.size) small_.resize(static_cast<std::size_t>(task.architecture.inputs()));
  for (std::size_t pixel = 0; pixel < values_.size(); ++pixel)
    values_[pixel] = shown(static_cast<double>(pixel) / 255.0);
}

rule::Batch BatchWriter::empty(std::int64_t examples, bool labelled) const {
  rule::Batch batch;
  batch.examples = examples;
  batch.inputs = task_.architecture.inputs();
  batch.targets = classes_ + (labelled ? regression_ : 0);
  batch.x.resize(static_cast<std::size_t>(examples * batch.inputs));
  batch.y.resize(static_cast<std::size_t>(examples * batch.targets));
  return batch;
}

const std::uint8_t* BatchWriter::resized(std::int32_t example) {
  const std::uint8_t* pixels = dataset_.example(example);
  if (small_.empty()) return pixels;
  resize_({pixels, dataset_.size, dataset_.size, dataset_.size}, small_.data());
  return small_.data();
}

/// The mean of the one-hot columns is 1 / classes. Regression targets are centred there, so that the common
/// mean that the meta-objective subtracts is the mean of each column.
void BatchWriter::write_targets(std::int32_t example, const Coefficients& coefficients,
                                double* targets) const {
  double* const end = targets + regression_;
  double* next = targets;
  if (has_targets(task_, options_))
    next = write_coefficients(options_.augmentation, coefficients, dataset_.size > 0, next);
  if (!dataset_.scores.empty()) *next++ = dataset_.scores[static_cast<std::size_t>(example)];
  for (double* target = targets; target != end; ++target) *target += 1.0 / static_cast<double>(classes_);
}

void BatchWriter::write(std::int32_t example, std::size_t label, std::int64_t row, rule::Batch& batch) {
  const std::uint8_t* pixels = resized(example);
  double* x = batch.x.data() + row * batch.inputs;
  double* y = batch.y.data() + row * batch.targets;
  y[label] = 1.0;
  Coefficients coefficients;
  if (task_.augmented) {
    coefficients = draw_coefficients(options_.augmentation, coefficients_,
                                     next_ * static_cast<std::uint32_t>(kCoefficientElements));
    const std::vector<double>& values = augmenter_(pixels, coefficients, noise_, next_++);
    for (const std::int32_t from : task_.permutation) *x++ = shown(values[static_cast<std::size_t>(from)]);
  } else {
    for (const std::int32_t from : task_.permutation) *x++ = values_[pixels[from]];
  }
  if (batch.targets > classes_) write_targets(example, coefficients, y + classes_);
}

}  // namespace outerloop::data
