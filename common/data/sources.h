#pragma once
// The table of datasets by name: the files that each reads, how it is made from them, and the cache in
// between.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/data/domain.h"
#include "common/data/request.h"
#include "common/data/working_set.h"

namespace outerloop::data {

/// How a dataset is made from its files.
struct Source {
  std::string cache_name;                    ///< the same for the same dataset, folder and part
  std::string recipe;                        ///< everything other than the files that affects the result
  std::vector<std::filesystem::path> files;  ///< in order
  std::vector<std::string> remarks;          ///< for the user: what was skipped during the search
  bool keep_made = false;                    ///< cached as returned by `make`, which takes seconds
  bool keep_resized = false;                 ///< cached after resizing
  std::int64_t side = 0;                     ///< of the images that `make` returns, if known
  std::function<WorkingSet()> make;
};

/// Kind of source that a dataset's path leads to, and which of its files belong to the dataset.
enum class Reads {
  nothing,         ///< it is computed: a path is rejected
  folder,          ///< files in a folder, none below that
  tree,            ///< files in a folder, at any depth
  file,            ///< one file
  file_or_folder,  ///< one file, or the folder that holds it under the name x.npy
  part_of_file,    ///< the object after the colon in FILE:/dataset
  table,           ///< one file; after a colon the column of labels
};

/// Properties of a dataset that are known before it is opened.
struct DatasetKind {
  const char* name;
  const char* content;  ///< short description
  /// Default source: a folder of Debian's package, or one that scripts/manuals makes below the program's
  /// cache folder (a relative path); "": the fonts known to fontconfig; nullptr: none.
  const char* default_path;
  const char* layout;  ///< description of PATH
  const char* remedy;  ///< how to provide the files
  Reads reads;
  const char* format;  ///< of its files: datasets of one format may share files (overlap.h); "": computed
  bool parts;          ///< it has a train and a test part
  /// The files of a request, whose path is the second argument (source_path), or how it is computed.
  Source (*find)(const DatasetRequest& request, const std::filesystem::path& path);
  /// Empty: determined by the shape of its array, [n, side, side(, channels)] images, [n, inputs] tables.
  std::optional<Domain> domain = Domain::images;
  bool same_classes_everywhere = false;   ///< a name means the same class in any folder, e.g. a character
  bool bag_of_words = false;              ///< inputs are counts of words, the most frequent first
  std::vector<const char*> made_of = {};  ///< the datasets whose training classes it is composed of

  bool needs_path() const { return reads != Reads::nothing && default_path == nullptr; }
};

/// Every dataset that DatasetRequest::name takes; docs/extending.md shows how to add one.
const std::vector<DatasetKind>& dataset_kinds();

/// Throws InputError that lists the known datasets.
const DatasetKind& dataset_kind(const std::string& name);

/// The canonical name (canonical_path) of a request's source: its path, or the dataset's default path; for a
/// part of a file followed by ":/dataset". Empty for glyphs without a path, which read the fonts known to
/// fontconfig, and for computed datasets. Throws InputError for an unknown dataset, and where one needs a
/// path and has none, or takes none and has one.
std::filesystem::path source_path(const DatasetRequest& request);

/// Finds the files. Throws InputError that names dataset, folder, and how to provide missing files.
Source find_source(const DatasetRequest& request);

/// Reads, renders, crops or resizes to `size` of the request, or takes it from the cache. Vectors are raw.
/// `classes` and `scaling` are ignored. The set's remarks begin with those of its source, and it has the
/// range of each class.
WorkingSet read_source(const DatasetRequest& request, const std::string& cache_directory);

/// The same with its vectors scaled (scaling.h). The scaling is fitted to the training part if the dataset
/// has one, else to the training classes, or to all classes if `classes` is all.
WorkingSet open_source(const DatasetRequest& request, const std::string& cache_directory);

}  // namespace outerloop::data
