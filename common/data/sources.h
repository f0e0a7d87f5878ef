#pragma once
// The datasets by name: where each is read from, and what it holds before its classes are selected.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/data/dataset.h"
#include "common/data/working_set.h"

namespace outerloop::data {

/// How a dataset is made from its files.
struct Source {
  std::string cache_name;                    ///< the same for the same dataset, folder and part
  std::string recipe;                        ///< what besides the files decides about the result
  std::vector<std::filesystem::path> files;  ///< in order
  bool keep_made = false;                    ///< in the cache as `make` gives it: making it takes seconds
  bool keep_resized = false;                 ///< in the cache as it is resized
  std::int64_t side = 0;                     ///< of the images that `make` gives, where that is known
  std::function<WorkingSet()> make;
};

/// What there is to know of a dataset before it is opened.
struct DatasetKind {
  const char* name;
  const char* content;       ///< what it is, a few words
  const char* default_path;  ///< where Debian puts it; "": none, or a folder is not needed
  const char* layout;        ///< what PATH is
  const char* remedy;        ///< how to bring it
  enum class Path { required, optional, refused } path;  ///< refused: it is computed
  bool parts;                                            ///< it comes in a train and a test part
  /// The files of a request, whose path is the second argument (source_folder), or how it is computed.
  Source (*find)(const DatasetRequest& request, const std::filesystem::path& path);

  bool needs_path() const { return path == Path::required; }
};

/// Every dataset that DatasetRequest::name takes; docs/extending.md adds one.
const std::vector<DatasetKind>& dataset_kinds();

/// Throws InputError that lists the known ones.
const DatasetKind& dataset_kind(const std::string& name);

/// What a request reads, by its one name (canonical_path): its path, or where Debian puts the dataset; of
/// hdf5 with ":/dataset" behind it. Empty for glyphs without a path, which come from the fonts that
/// fontconfig knows, and for datasets that are computed. Throws InputError for an unknown dataset, and where
/// one needs a path and has none, or takes none and has one.
std::filesystem::path source_folder(const DatasetRequest& request);

/// Finds the files. Throws InputError that names dataset and folder and says how to bring what is missing.
Source find_source(const DatasetRequest& request);

/// Reads, renders, crops or resizes to `size` of the request, or takes it from the cache. `classes` is not
/// looked at.
WorkingSet open_source(const DatasetRequest& request, const std::string& cache_directory);

}  // namespace outerloop::data
