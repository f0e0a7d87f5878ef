#pragma once
// Reader and writer of NPY, NumPy's file format of one array (numpy.lib.format, versions 1 to 3): magic
// number, version, a header in Python's notation, then the elements.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/data/array.h"
#include "common/rule/base_model.h"

namespace outerloop::data {

/// An array in a file, read in blocks of rows. Element types: booleans, integers and floats of up to 8 bytes,
/// and this machine's long double; little- or big-endian, row- or column-major.
class NpyFile {
 public:
  /// Compares the header with the file's size. Throws InputError that names the file: missing, empty, not
  /// NPY, an unsupported version or type, a header that does not parse, more elements than the file holds.
  explicit NpyFile(const std::filesystem::path& path);

  const std::vector<std::int64_t>& shape() const { return shape_; }  ///< at least one axis
  bool bytes() const { return kind_ == 'u' && size_ == 1; }          ///< the elements are unsigned bytes

  /// Appends rows first .. first + count - 1 along the first axis, each in row-major order.
  void append_rows(std::int64_t first, std::int64_t count, std::vector<double>& numbers);

 private:
  void read_at(std::int64_t element, std::int64_t count);
  void append(std::int64_t count, std::vector<double>& numbers) const;

  std::string name_;
  std::ifstream file_;
  std::vector<std::int64_t> shape_;
  std::int64_t row_ = 1;     // elements of a row
  std::uint64_t begin_ = 0;  // of the elements in the file
  char kind_ = 'f';          // NumPy's: u, i, b, f
  std::size_t size_ = 0;     // bytes of an element
  bool swapped_ = false;     // its byte order differs from this machine's
  bool column_major_ = false;
  std::vector<std::uint8_t> raw_;  // of the current elements
};

/// The whole array. Throws what NpyFile throws.
Array read_npy(const std::filesystem::path& path);

/// The header of an NPY file (version 1) of float32 [rows, columns]. Its length is the same for any shape.
std::string npy_head(std::int64_t rows, std::int64_t columns);

/// The bytes of a complete file with the matrix, for numpy.load.
std::string npy_of(const rule::Matrix& matrix);

/// "FILE.npy" → "FILE.labels.npy", the file with the dataset's labels.
std::filesystem::path npy_labels_path(const std::filesystem::path& path);

}  // namespace outerloop::data
