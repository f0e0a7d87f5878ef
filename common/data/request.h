#pragma once
// A request for a dataset (name, path, size, classes, part, scaling), and its form on the command line,
// NAME[:PATH][:train|:held_out].
#include <cstdint>
#include <string>

namespace outerloop::data {

/// Which classes of a dataset take part. The split is a pure function of the class's name, so that it is the
/// same on every machine, whatever else is installed. About one class in five is held out (class_split.h).
/// Labels are renumbered over the selected classes.
enum class ClassSplit { all, train, held_out };

/// Which examples of a dataset that comes in two parts (MNIST's train and test files, CIFAR-10's, IMDB's).
/// A dataset without such parts is used whole for both. Parts share their classes, so they never separate
/// training from evaluation (overlap.h).
enum class Part { all, train, test };

/// How the columns of vectors are mapped to 256 levels (scaling.h). Images are unchanged.
enum class ScalingKind {
  none,       ///< bytes unchanged; other numbers must be within 0..1
  columns,    ///< each column from its smallest to its largest number
  array,      ///< all columns from the smallest to the largest number of all
  quantiles,  ///< each column from its quantile .005 to .995; as `columns` if the two are equal
  ranks,      ///< each number by the share of its column's numbers that are smaller
};

struct DatasetRequest {
  std::string name;       ///< one of dataset_kinds() (sources.h)
  std::string path;       ///< source of the dataset; empty: the folder of Debian's package
  std::int64_t size = 0;  ///< images are resized by area to size × size pixels, 1 to 1024; not for vectors
  ClassSplit classes = ClassSplit::all;
  Part part = Part::all;
  std::int64_t words_per_example = 0;            ///< of `texts`: words per passage of a document, 20 or more
  ScalingKind scaling = ScalingKind::quantiles;  ///< of vectors
};

/// "NAME" or "NAME:PATH", optionally followed by ":train" or ":held_out" for the classes on one side of the
/// class split; leaves the size unset. A path that ends so is written with "./" (folder:./train).
/// dataset_kind() (sources.h) checks the name.
DatasetRequest parse_request(const std::string& text);

/// "NAME", "NAME:train" or "NAME:held_out", for tables and figures.
std::string request_label(const DatasetRequest& request);

}  // namespace outerloop::data
