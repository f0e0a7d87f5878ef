#pragma once
// Trains a base model by a rule on the rows of a file, and computes features of a file's rows with a kept
// one. Rows are read, scaled and processed in blocks, so that memory does not grow with their number.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/data/request.h"
#include "common/data/rows.h"
#include "common/evaluation/apply.h"
#include "common/rule/kept_model.h"

namespace outerloop::evaluation {

/// Limit of the numbers in memory while a base model is trained. From a larger file, training and scaling use
/// a random sample of rows. Batch-norm statistics always use all rows.
constexpr std::int64_t kMostSampled = std::int64_t{1} << 24;

/// How inputs are scaled. Images and `as_they_are` use linear scalings, not levels.
struct ScalingChoice {
  bool as_they_are = false;  ///< bytes are divided by 255, other numbers are unchanged
  data::ScalingKind kind = data::ScalingKind::quantiles;
  bool images_together = true;  ///< rows with several axes: from the smallest to the largest of all
};

/// Trains on the rows of `rows`, which is at its beginning before and after. `file` begins error messages.
/// Throws InputError: what the reader throws, fewer than two rows, numbers that the scaling rejects; Error
/// where the base model does not stay finite.
rule::KeptModel train_on_rows(rule::Engine& engine, const std::vector<double>& theta, data::RowReader& rows,
                              const ScalingChoice& scaling, const ApplyOptions& options, int threads,
                              const std::string& file);

/// Features of all rows from the reader's position on, block by block in their order. Returns the number of
/// rows. `module_engine`: computes the features of a module's model; other models need none. Throws
/// InputError where the file's number of inputs differs from the model's.
std::int64_t features_of_rows(const rule::KeptModel& model, data::RowReader& rows, int threads,
                              const std::string& file,
                              const std::function<void(const rule::Matrix& features)>& take,
                              rule::Engine* module_engine = nullptr);

/// Throws InputError beginning with `name` for an unknown scaling.
void check_input_scaling(const rule::InputScaling& scaling, const std::string& name);

}  // namespace outerloop::evaluation
