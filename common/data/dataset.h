#pragma once
// A dataset in memory, as every task samples from it.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace outerloop::data {

/// Examples of one dataset, immutable once opened.
struct Dataset {
  std::string name;                      ///< e.g. "fashion_mnist"
  std::int64_t size = 0;                 ///< side of the square images; 0 where examples are plain vectors
  std::int64_t inputs = 0;               ///< numbers per example: size * size for grey images
  std::vector<std::string> class_names;  ///< index = label
  std::vector<std::int32_t> labels;      ///< [examples]
  std::vector<std::uint8_t> pixels;      ///< [examples, inputs], 0..255 stands for 0..1
  std::vector<float> scores;  ///< [examples], mean 0, standard deviation 1/2: a regression target; or empty
  std::vector<std::vector<std::int32_t>> examples_of_class;  ///< [classes][...]: rows of each class
  std::string sha256;  ///< over everything above: what a resumed run compares

  std::int64_t examples() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t classes() const { return static_cast<std::int64_t>(class_names.size()); }
  /// Labels of the classes that have at least so many examples.
  std::vector<std::int32_t> classes_with(std::int64_t examples) const;
};

/// Which classes of a dataset take part. The split is a pure function of the class's name, so that it is the
/// same on every machine whatever else is installed. About one class in five is held out (class_split.h).
/// Labels are counted anew over the classes that take part.
enum class ClassSplit { all, train, held_out };

/// Which examples of a dataset that comes in two parts (MNIST's train and test files, CIFAR-10's, IMDB's).
/// Datasets without such parts are all of both. Parts share their classes: they never keep training and
/// evaluation apart (overlap.h).
enum class Part { all, train, test };

/// What to open.
struct DatasetRequest {
  std::string name;        ///< one of dataset_kinds() (sources.h)
  std::string path;        ///< folder or file in the dataset's published layout; empty: where Debian puts it
  std::int64_t size = 14;  ///< images are resized by area to size × size pixels, 1 to 1024; vectors stay
  ClassSplit classes = ClassSplit::all;
  Part part = Part::all;
};

/// "NAME" or "NAME:PATH". Throws InputError for a name that is not known.
DatasetRequest parse_request(const std::string& text);

/// Opens, decodes, renders or crops, and resizes (or reads the cache of what was made before).
/// `cache_directory` empty: no cache; one that is damaged, outdated or not writable costs time and a line on
/// stderr. Classes without an example are left out. The same request gives the same bits while files and
/// libraries (FreeType, libjpeg, libpng, libwebp) stay the same. Throws InputError that names dataset, path,
/// what is wrong and what to do.
std::shared_ptr<const Dataset> open_dataset(const DatasetRequest& request,
                                            const std::string& cache_directory);

/// Whether the dataset of that name comes in a train and a test part. Throws InputError for an unknown one.
bool has_parts(const std::string& name);

/// The default cache: $OUTERLOOP_CACHE_DIR, else $XDG_CACHE_HOME/outerloop, else $HOME/.cache/outerloop, else
/// "".
std::string default_cache_directory();

}  // namespace outerloop::data
