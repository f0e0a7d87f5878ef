#pragma once
// The table of datasets by name: what each reads, how it is made from its files, and the cache in between.
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
  std::string recipe;                        ///< what besides the files decides about the result
  std::vector<std::filesystem::path> files;  ///< in order
  std::vector<std::string> remarks;          ///< for the user: what was passed over when they were looked for
  bool keep_made = false;                    ///< in the cache as `make` gives it: making it takes seconds
  bool keep_resized = false;                 ///< in the cache as it is resized
  std::int64_t side = 0;                     ///< of the images that `make` gives, where that is known
  std::function<WorkingSet()> make;
};

/// What a dataset's path leads to, and which files there are the dataset's.
enum class Reads {
  nothing,         ///< it is computed: a path is refused
  folder,          ///< files in a folder, none below that
  tree,            ///< files in a folder, at any depth
  file,            ///< one file
  file_or_folder,  ///< one file, or the folder that holds it under the name x.npy
  part_of_file,    ///< what stands behind the colon of FILE:/dataset
  table,           ///< one file; behind a colon the column of labels
};

/// What there is to know of a dataset before it is opened.
struct DatasetKind {
  const char* name;
  const char* content;  ///< what it is, a few words
  /// Where Debian puts it, or scripts/manuals below the program's cache folder (a relative path); "": what
  /// fontconfig knows; nullptr: there is none.
  const char* default_path;
  const char* layout;  ///< what PATH is
  const char* remedy;  ///< how to bring it
  Reads reads;
  const char* format;  ///< of its files: datasets of one format may read the same (overlap.h); "": computed
  bool parts;          ///< it comes in a train and a test part
  /// The files of a request, whose path is the second argument (source_path), or how it is computed.
  Source (*find)(const DatasetRequest& request, const std::filesystem::path& path);
  /// Empty: by the shape of its array, [n, side, side(, channels)] images, [n, inputs] tables.
  std::optional<Domain> domain = Domain::images;
  bool same_classes_everywhere = false;   ///< a name means the same class in any folder: a character
  bool bag_of_words = false;              ///< inputs are counts of words, the most frequent first
  std::vector<const char*> made_of = {};  ///< the datasets whose classes for training it is composed of

  bool needs_path() const { return reads != Reads::nothing && default_path == nullptr; }
};

/// Every dataset that DatasetRequest::name takes; docs/extending.md adds one.
const std::vector<DatasetKind>& dataset_kinds();

/// Throws InputError that lists the known ones.
const DatasetKind& dataset_kind(const std::string& name);

/// What a request reads, by its one name (canonical_path): its path, or the dataset's default path; of a
/// part of a file with ":/dataset" behind it. Empty for glyphs without a path, which come from the fonts that
/// fontconfig knows, and for datasets that are computed. Throws InputError for an unknown dataset, and where
/// one needs a path and has none, or takes none and has one.
std::filesystem::path source_path(const DatasetRequest& request);

/// Finds the files. Throws InputError that names dataset and folder and says how to bring what is missing.
Source find_source(const DatasetRequest& request);

/// Reads, renders, crops or resizes to `size` of the request, or takes it from the cache. Vectors are raw.
/// `classes` and `scaling` are not looked at. The set's remarks begin with those of its source, and it has
/// the range of each class.
WorkingSet read_source(const DatasetRequest& request, const std::string& cache_directory);

/// The same with its vectors scaled (scaling.h). The scaling is fitted to the training part, where the
/// dataset has one, and else to the classes for training, or to all where `classes` is all.
WorkingSet open_source(const DatasetRequest& request, const std::string& cache_directory);

}  // namespace outerloop::data
