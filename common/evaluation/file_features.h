#pragma once
// A base model trained by a rule on the rows of a file, and features of a file's rows by a kept one. Rows are
// read, scaled and computed in blocks, so that memory does not grow with their number.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/data/request.h"
#include "common/data/rows.h"
#include "common/evaluation/apply.h"
#include "common/rule/kept_model.h"

namespace outerloop::evaluation {

/// Numbers that are in memory at once while a base model is trained: of a file that holds more, it and its
/// scaling see a random sample of rows. Batch-norm statistics are over all rows in any case.
constexpr std::int64_t kMostSampled = std::int64_t{1} << 24;

/// How inputs are scaled. Images and `as_they_are` have scalings of their own: linear ones, not in levels.
struct ScalingChoice {
  bool as_they_are = false;  ///< bytes stand for 0 to 1, other numbers are taken as they are
  data::ScalingKind kind = data::ScalingKind::quantiles;
  bool images_together = true;  ///< rows with axes of their own: from the smallest to the largest of all
};

/// Trains on the rows of `rows`, which is at its beginning before and after. `file` begins errors. Throws
/// InputError: what the reader throws, fewer than two rows, numbers that the scaling refuses; Error where the
/// base model does not stay finite.
rule::KeptModel train_on_rows(rule::Engine& engine, const std::vector<double>& theta, data::RowReader& rows,
                              const ScalingChoice& scaling, const ApplyOptions& options, int threads,
                              const std::string& file);

/// Features of all rows from where the reader is, a block at a time in their order. Returns how many rows.
/// Throws InputError where the file has another number of inputs than the model.
std::int64_t features_of_rows(const rule::KeptModel& model, data::RowReader& rows, int threads,
                              const std::string& file,
                              const std::function<void(const rule::Matrix& features)>& take);

/// Throws InputError beginning with `name` for a scaling that is none.
void check_input_scaling(const rule::InputScaling& scaling, const std::string& name);

}  // namespace outerloop::evaluation
