#pragma once
// Reader of one array, and its labels, in an HDF5 file. It runs in a process of its own, because the HDF5
// library crashes on some malformed files.
#include <filesystem>
#include <optional>
#include <string>

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
};

/// The dataset, and its labels where the file holds "<dataset>_labels", or else "labels" in the same group.
/// Integers and floats of up to 8 bytes. Throws InputError that names file and dataset: missing, no HDF5,
/// another kind of element, no or more than four axes, more elements than the file can hold (checked before
/// anything is allocated), damaged data, a file that crashes the library or keeps it for a minute.
LabelledArray read_hdf5(const Hdf5Path& path);

}  // namespace outerloop::data
