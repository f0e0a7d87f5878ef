#pragma once
// Reader of small HDF5 files for tests: every dataset by path, and their attributes.
#include <hdf5.h>

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace outerloop::tests {

/// A dataset of floating point numbers.
struct Hdf5Dataset {
  std::vector<std::int64_t> shape;
  std::vector<double> values;  ///< row-major
  bool stored_in_float32 = false;
  std::int64_t example_stride =
      1;  ///< the attribute of that name: only every s-th entry of the first axis is stored
};

/// A file open for reading. Every member throws std::runtime_error that names the file and the object.
class Hdf5File {
 public:
  explicit Hdf5File(const std::string& path);
  ~Hdf5File();
  Hdf5File(const Hdf5File&) = delete;
  Hdf5File& operator=(const Hdf5File&) = delete;

  /// Paths of all datasets, e.g. "theta/top.in.w", in alphabetical order.
  std::vector<std::string> datasets() const;
  bool contains(const std::string& path) const;
  Hdf5Dataset read(const std::string& path) const;

  /// Numeric attributes of a group.
  std::vector<double> attribute(const std::string& group, const std::string& name) const;
  bool has_attribute(const std::string& group, const std::string& name) const;

 private:
  std::string path_;
  hid_t file_;
};

}  // namespace outerloop::tests
