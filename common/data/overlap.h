#pragma once
// The check that no evaluation data is sampled in training.
#include <vector>

#include "common/data/request.h"

namespace outerloop::data {

/// Throws InputError that names both datasets where a training and an evaluation request read the same
/// source: the same folder (links resolved; empty: the default one), whatever the datasets are called, or a
/// folder inside the other's, or one that a link in it leads to; glyphs without a folder read every font. One
/// dataset serves both only by its classes, `train` here and `held_out` there. Parts (MNIST's train and test
/// files) alone never separate: both hold the same classes. Folders of pictures inside one another are not
/// separated by class either: pictures are named from the folder on. Unknown datasets, and mnist without a
/// path, are refused too.
void check_no_overlap(const std::vector<DatasetRequest>& training,
                      const std::vector<DatasetRequest>& evaluation);

}  // namespace outerloop::data
