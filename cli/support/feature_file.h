#pragma once
// Writer of features in blocks of rows: NPY, CSV or HDF5, by the file's suffix. The file appears only when it
// is complete.
#include <memory>
#include <string>

#include "common/rule/base_model.h"

namespace outerloop::cli {

class FeatureWriter {
 public:
  virtual ~FeatureWriter() = default;
  virtual void add(const rule::Matrix& block) = 0;
  /// Flushes and renames. Without this call no file is left.
  virtual void finish() = 0;
};

/// .npy: float32 [rows, columns]; .csv and .csv.gz: a header (feature_1, ...) and numbers that read back as
/// the same float32; .h5 and .hdf5: the dataset /features. Throws InputError for another suffix. The writer
/// throws Error that names the path and the reason.
std::unique_ptr<FeatureWriter> write_features(const std::string& path, std::int64_t columns);

}  // namespace outerloop::cli
