#pragma once
// Reader and writer of NPY, NumPy's file of one array (numpy.lib.format, versions 1 to 3): a magic, a
// version, a header in Python's notation, then the elements.
#include <filesystem>
#include <string>

#include "common/data/array.h"
#include "common/rule/base_model.h"

namespace outerloop::data {

/// Little-endian or single-byte booleans, integers and floats of 1 to 8 bytes, row-major. What the header
/// announces is compared with the file's size before anything is allocated. Throws InputError that names the
/// file: missing, empty, no NPY, another version, kind or byte order, column-major, a header that does not
/// parse, as many elements as the file does not hold.
Array read_npy(const std::filesystem::path& path);

/// The bytes of an NPY file (version 1) of float32 that holds the matrix, for numpy.load.
std::string npy_of(const rule::Matrix& matrix);

/// "FILE.npy" → "FILE.labels.npy", where a dataset's labels are.
std::filesystem::path npy_labels_path(const std::filesystem::path& path);

}  // namespace outerloop::data
