#pragma once
// Reader of one array and its labels from an HDF5 file. It runs in a separate process, because the HDF5
// library crashes on some malformed files.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/data/array.h"

namespace outerloop::data {

/// "FILE.h5:/dataset".
struct Hdf5Path {
  std::filesystem::path file;
  std::string dataset;  ///< begins with "/"
};

/// Throws InputError where `path` is not of that form.
Hdf5Path parse_hdf5_path(const std::string& path);

struct LabelledArray {
  Array x;
  std::optional<Array> labels;
  std::vector<std::string> remarks;  ///< for the user, a line each
};

/// The dataset and its labels, if the file holds "<dataset>_labels", or else "labels" in the same group.
/// Integers and floats of up to 8 bytes. Throws InputError that names file and dataset: everything that
/// Hdf5File rejects (hdf5_dataset.h), a file that crashes the library or blocks it for a minute.
LabelledArray read_hdf5(const Hdf5Path& path);

/// One dataset, read in blocks of rows, each block in a separate process.
class Hdf5Rows {
 public:
  /// Throws what read_hdf5() throws.
  explicit Hdf5Rows(const Hdf5Path& path);

  const std::vector<std::int64_t>& shape() const { return shape_; }  ///< one axis at least
  bool bytes() const { return bytes_; }                              ///< the elements are unsigned bytes
  std::int64_t chunk_rows() const { return chunk_rows_; }            ///< rows that are packed together
  const std::vector<std::string>& remarks() const { return remarks_; }

  /// Rows first .. first + count - 1 along the first axis. Throws what read_hdf5() throws, and where the
  /// dataset has changed.
  Array read(std::int64_t first, std::int64_t count) const;

 private:
  Hdf5Path path_;
  std::vector<std::int64_t> shape_;
  bool bytes_ = false;
  std::int64_t chunk_rows_ = 1;
  std::vector<std::string> remarks_;
};

}  // namespace outerloop::data
