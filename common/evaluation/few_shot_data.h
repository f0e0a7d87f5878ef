#pragma once
// The dataset of a few-shot evaluation: unlabelled and labelled training examples, and test examples.
#include <cstdint>
#include <string>
#include <vector>

#include "common/data/dataset.h"
#include "common/rule/base_model.h"

namespace outerloop::evaluation {

/// Unlabelled and labelled examples come from `train`, accuracy is measured on `test`.
struct FewShotData {
  std::string name;       ///< with the side of the class split, if any: glyphs:held_out
  std::int64_t size = 0;  ///< side of the images; 0: vectors
  rule::Matrix train;     ///< [examples, inputs], in [0, 1]
  std::vector<std::int32_t> train_labels;
  rule::Matrix test;
  std::vector<std::int32_t> test_labels;
  std::int64_t classes = 0;
  /// Further groups of the same dataset (the worlds of tables), each with inputs and classes of its own.
  std::vector<FewShotData> others;
  std::vector<std::string> class_names;  ///< by label
  /// Class-split names of the whole dataset, without duplicates (split_name in class_split.h).
  std::vector<std::string> split_names;
};

/// The class-split names of all classes, sorted, without duplicates.
std::vector<std::string> split_names(const data::Dataset& set);

/// Opens both parts of a dataset. Without parts (glyphs, crops), examples are split alternately. A dataset
/// with groups is read group by group.
FewShotData open_few_shot_data(const data::DatasetRequest& request, const std::string& cache_directory);

}  // namespace outerloop::evaluation
