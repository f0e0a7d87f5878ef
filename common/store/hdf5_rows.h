#pragma once
// Writer of one HDF5 dataset of float32 that grows by rows, directly into a file.
#include <cstdint>
#include <memory>
#include <string>

namespace outerloop::store {

class Hdf5RowWriter {
 public:
  /// Replaces the content of `path`, which must exist. `dataset` begins with "/". All functions throw Error
  /// with the library's own text.
  Hdf5RowWriter(const std::string& path, const std::string& dataset, std::int64_t columns);
  ~Hdf5RowWriter();

  void add(const float* values, std::int64_t rows);
  void close();

 private:
  struct File;
  std::unique_ptr<File> file_;
};

}  // namespace outerloop::store
