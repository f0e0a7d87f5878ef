#pragma once
// Check that training never samples evaluation data.
#include <vector>

#include "common/data/request.h"

namespace outerloop::data {

/// Throws InputError that names both datasets where a training and an evaluation request read the same
/// source: the same folder (links resolved; empty: the default one) under any dataset name, a folder inside
/// the other's, or one that a link in it leads to; glyphs without a folder read every font. One dataset can
/// serve both purposes only with different classes, `train` here and `held_out` there. Different parts
/// (MNIST's train and test files) are not enough: both hold the same classes. Nested folders of pictures are
/// not separated by class either: a picture's name starts at the folder. Unknown datasets, and mnist without
/// a path, are rejected too.
void check_no_overlap(const std::vector<DatasetRequest>& training,
                      const std::vector<DatasetRequest>& evaluation);

}  // namespace outerloop::data
