#pragma once
// A dataset in memory: the examples, labels and classes that tasks are sampled from, and how to open one.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/data/domain.h"
#include "common/data/request.h"
#include "common/data/working_set.h"

namespace outerloop::data {

/// Examples of one dataset, immutable once opened.
struct Dataset {
  std::string name;  ///< e.g. "fashion_mnist"
  Domain domain = Domain::images;
  std::int64_t size = 0;    ///< side of the square images; 0 where examples are plain vectors
  std::int64_t inputs = 0;  ///< numbers per example: size * size for grey images; the most of any
                            ///< group where there are groups
  std::vector<std::string> class_names;      ///< index = label
  std::vector<std::int32_t> labels;          ///< [examples]
  std::vector<ClassGroup> groups;            ///< empty: classes are not grouped
  std::vector<std::int32_t> group_of_class;  ///< [classes], where there are groups
  std::vector<std::uint8_t> pixels;  ///< [examples, inputs], or of its group each; 0..255 stands for 0..1
  bool bag_of_words = false;         ///< inputs are counts of words, the most frequent first
  std::vector<float> scores;  ///< [examples], mean 0, standard deviation 1/2: a regression target; or empty
  std::vector<std::vector<std::int32_t>> examples_of_class;  ///< [classes][...]: rows of each class
  std::vector<std::size_t> starts;  ///< [examples]: offset in pixels of each; empty: equal lengths
  std::string sha256;               ///< over everything above; a resumed run compares it
  std::vector<ValueRange> ranges;   ///< [classes] before anything was scaled or resized

  std::int64_t examples() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t classes() const { return static_cast<std::int64_t>(class_names.size()); }
  /// Numbers per example of a class.
  std::int64_t inputs_of(std::int32_t label) const;
  /// The numbers of an example: [inputs_of(its label)].
  const std::uint8_t* example(std::int64_t row) const;
  /// Labels of the classes with at least that many examples: [groups][...], one list without groups.
  std::vector<std::vector<std::int32_t>> classes_with(std::int64_t examples) const;
};

/// Opens, decodes, renders or crops, and resizes (or reads the cached result). `cache_directory` empty: no
/// cache. A cache that is damaged, outdated or not writable costs time and a line on stderr. Classes without
/// an example are left out. The same request gives the same bits as long as files and libraries (FreeType,
/// libjpeg, libpng, libwebp, utf8proc) stay the same. Throws InputError that names dataset, path, problem and
/// remedy.
/// Remarks about the data (skipped files, examples that are all equal) are added to `remarks`, a line each.
/// If `remarks` is null they go to stderr, once per process.
std::shared_ptr<const Dataset> open_dataset(const DatasetRequest& request, const std::string& cache_directory,
                                            std::vector<std::string>* remarks = nullptr);

/// Whether the dataset has a train and a test part. Throws InputError for an unknown name.
bool has_parts(const std::string& name);

/// The default cache: $OUTERLOOP_CACHE_DIR, else $XDG_CACHE_HOME/outerloop, else $HOME/.cache/outerloop, else
/// "".
std::string default_cache_directory();

}  // namespace outerloop::data
