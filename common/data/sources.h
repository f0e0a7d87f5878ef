#pragma once
// The datasets by name: where each is read from, and what it holds before it is resized.
#include <filesystem>
#include <string>
#include <vector>

#include "common/data/dataset.h"
#include "common/data/working_set.h"

namespace outerloop::data {

/// The names that DatasetRequest::name takes.
const std::vector<std::string>& dataset_names();

/// The folder that a request reads, by its one name (canonical_path): its path, or where Debian puts the
/// dataset. Empty for glyphs without a path, which come from the fonts that fontconfig knows. Throws
/// InputError for an unknown dataset, and for mnist without a path.
std::filesystem::path source_folder(const DatasetRequest& request);

/// Reads, renders or crops, or takes it from the cache. `classes` and `size` of the request are not looked
/// at.
WorkingSet open_source(const DatasetRequest& request, const std::string& cache_directory);

}  // namespace outerloop::data
