#pragma once
// A request for a dataset (name, path, size, classes, part, scaling), and its form on the command line,
// NAME[:PATH].
#include <cstdint>
#include <string>

namespace outerloop::data {

/// Which classes of a dataset take part. The split is a pure function of the class's name, so that it is the
/// same on every machine whatever else is installed. About one class in five is held out (class_split.h).
/// Labels are counted anew over the classes that take part.
enum class ClassSplit { all, train, held_out };

/// Which examples of a dataset that comes in two parts (MNIST's train and test files, CIFAR-10's, IMDB's).
/// Datasets without such parts are all of both. Parts share their classes: they never keep training and
/// evaluation apart (overlap.h).
enum class Part { all, train, test };

/// How the columns of vectors come to lie in 256 levels (scaling.h). Images stay as they are.
enum class ScalingKind {
  none,       ///< bytes as they are; other numbers lie within 0..1
  columns,    ///< each column from its smallest to its largest number
  array,      ///< all columns from the smallest to the largest number of all
  quantiles,  ///< each column from its quantile .005 to .995; as `columns` where the two are one number
  ranks,      ///< each number by the share of its column's numbers that are smaller
};

struct DatasetRequest {
  std::string name;       ///< one of dataset_kinds() (sources.h)
  std::string path;       ///< what the dataset is read from; empty: where Debian puts it
  std::int64_t size = 0;  ///< images are resized by area to size × size pixels, 1 to 1024; vectors stay
  ClassSplit classes = ClassSplit::all;
  Part part = Part::all;
  std::int64_t words_per_example = 0;  ///< of `texts`: passages that documents are cut into, 20 and more
  ScalingKind scaling = ScalingKind::quantiles;  ///< of vectors
};

/// "NAME" or "NAME:PATH"; the size is left open. Whether there is such a dataset is for dataset_kind()
/// (sources.h) to say.
DatasetRequest parse_request(const std::string& text);

}  // namespace outerloop::data
