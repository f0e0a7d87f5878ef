#include "common/data/hdf5_array.h"

#include <hdf5.h>

#include <cstring>
#include <stdexcept>

#include "common/base/error.h"
#include "common/base/isolated.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

// Deflate never packs more than this into one byte, and no other common filter does.
constexpr std::int64_t kMaxCompression = 1032;
// What travels from the child begins with one of these.
constexpr std::uint8_t kRefused = 0, kArrays = 1;

// The functions below run in the child alone, which ends right after: nothing is closed.

hid_t require(hid_t id, const std::string& what) {
  if (id < 0) throw InputError(what);
  return id;
}

/// Reads `dataset` [..], its shape first.
Array read_dataset(hid_t file, const std::string& dataset, const std::string& name) {
  const hid_t id = require(H5Dopen2(file, dataset.c_str(), H5P_DEFAULT),
                           name + ": no such dataset in the file: h5ls -r lists them");
  const hid_t type = require(H5Dget_type(id), name + ": its type cannot be read: fetch the file again");
  const hid_t space = require(H5Dget_space(id), name + ": its shape cannot be read: fetch the file again");
  const H5T_class_t kind = H5Tget_class(type);
  const std::size_t size = H5Tget_size(type);
  if ((kind != H5T_INTEGER && kind != H5T_FLOAT) || size > 8)
    throw InputError(name +
                     ": elements are neither integers nor floats of up to 8 bytes: convert the dataset");
  const int axes = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> extents(static_cast<std::size_t>(axes > 0 ? axes : 0));
  if (!extents.empty()) H5Sget_simple_extent_dims(space, extents.data(), nullptr);
  Array array;
  for (const hsize_t extent : extents)
    array.shape.push_back(extent > static_cast<hsize_t>(kMostElements) ? kMostElements + 1
                                                                       : static_cast<std::int64_t>(extent));
  const std::int64_t elements = count_elements(array.shape, name);
  const auto stored = static_cast<std::int64_t>(H5Dget_storage_size(id));
  if (elements * static_cast<std::int64_t>(size) / kMaxCompression > stored)
    throw InputError(name + ": announces " + std::to_string(elements) + " elements, the file holds " +
                     std::to_string(stored) + " bytes of them: write the dataset again");
  const bool bytes = kind == H5T_INTEGER && size == 1 && H5Tget_sign(type) == H5T_SGN_NONE;
  herr_t status = 0;
  if (bytes) {
    array.bytes.resize(static_cast<std::size_t>(elements));
    status = H5Dread(id, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.bytes.data());
  } else {
    array.numbers.resize(static_cast<std::size_t>(elements));
    status = H5Dread(id, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.numbers.data());
  }
  if (status < 0)
    throw InputError(name + ": damaged, or packed by a filter that is not here: write it again");
  return array;
}

bool exists(hid_t file, const std::string& dataset) {
  return H5Lexists(file, dataset.c_str(), H5P_DEFAULT) > 0;
}

/// Where the labels of `dataset` are; empty where there are none.
std::string labels_of(hid_t file, const std::string& dataset) {
  if (exists(file, dataset + "_labels")) return dataset + "_labels";
  const std::string beside = dataset.substr(0, dataset.find_last_of('/') + 1) + "labels";
  return beside != dataset && exists(file, beside) ? beside : "";
}

void put(const void* data, std::size_t count, std::vector<std::uint8_t>& bytes) {
  const auto* begin = static_cast<const std::uint8_t*>(data);
  bytes.insert(bytes.end(), begin, begin + count);
}

/// Axes and kind, the extents, then the elements, as they are in memory: both ends are this machine.
void put_array(const Array& array, std::vector<std::uint8_t>& bytes) {
  bytes.push_back(static_cast<std::uint8_t>(array.shape.size()));
  bytes.push_back(array.is_bytes() ? 1 : 0);
  put(array.shape.data(), array.shape.size() * sizeof array.shape[0], bytes);
  if (array.is_bytes())
    put(array.bytes.data(), array.bytes.size(), bytes);
  else
    put(array.numbers.data(), array.numbers.size() * sizeof array.numbers[0], bytes);
}

std::vector<std::uint8_t> read_in_child(const Hdf5Path& path) {
  std::vector<std::uint8_t> message;
  try {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    const std::string file_name = path.file.string();
    const hid_t file = require(H5Fopen(file_name.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT),
                               file_name + ": no HDF5 file, or a damaged one: check the path");
    message.push_back(kArrays);
    put_array(read_dataset(file, path.dataset, file_name + ":" + path.dataset), message);
    const std::string labels = labels_of(file, path.dataset);
    if (!labels.empty()) put_array(read_dataset(file, labels, file_name + ":" + labels), message);
  } catch (const std::exception& error) {
    message.assign(1, kRefused);
    put(error.what(), std::strlen(error.what()), message);
  }
  return message;
}

/// Takes an array off the front of what the child sent. Throws std::out_of_range where it does not fit.
Array take_array(const std::vector<std::uint8_t>& bytes, std::size_t& at) {
  const auto take = [&](void* to, std::size_t count) {
    if (count > bytes.size() - at) throw std::out_of_range("the child's message ends early");
    if (count > 0) std::memcpy(to, bytes.data() + at, count);
    at += count;
  };
  std::uint8_t head[2] = {0, 0};
  take(head, sizeof head);
  Array array;
  array.shape.resize(head[0]);
  take(array.shape.data(), array.shape.size() * sizeof array.shape[0]);
  const auto elements = static_cast<std::size_t>(count_elements(array.shape, "HDF5"));
  if (elements > bytes.size()) throw std::out_of_range("the child's message ends early");
  if (head[1] == 1) {
    array.bytes.resize(elements);
    take(array.bytes.data(), elements);
  } else {
    array.numbers.resize(elements);
    take(array.numbers.data(), elements * sizeof array.numbers[0]);
  }
  return array;
}

}  // namespace

Hdf5Path parse_hdf5_path(const std::string& path) {
  const std::size_t colon = path.rfind(":/");
  if (colon == std::string::npos || colon == 0 || colon + 2 >= path.size())
    throw InputError("hdf5: path \"" + path + "\": write FILE.h5:/dataset");
  return {path.substr(0, colon), path.substr(colon + 1)};
}

LabelledArray read_hdf5(const Hdf5Path& path) {
  const std::string name = path.file.string();
  std::error_code error;
  if (!fs::is_regular_file(path.file, error)) throw InputError(name + ": no such file: check the path");
  constexpr std::size_t kMostBytes = 2 * (static_cast<std::size_t>(kMostElements) * sizeof(double) + 4096);
  const base::IsolatedResult result = base::run_isolated([&] { return read_in_child(path); }, kMostBytes);
  if (result.outcome != base::IsolatedResult::Outcome::finished || result.bytes.empty())
    throw InputError(name + ": damaged: the HDF5 library " +
                     (result.outcome == base::IsolatedResult::Outcome::endless
                          ? "did not come to an end with it"
                          : "crashed on it") +
                     ": write the file again");
  if (result.bytes[0] == kRefused)
    throw InputError(std::string(result.bytes.begin() + 1, result.bytes.end()));
  LabelledArray arrays;
  std::size_t at = 1;
  try {
    arrays.x = take_array(result.bytes, at);
    if (at < result.bytes.size()) arrays.labels = take_array(result.bytes, at);
  } catch (const std::out_of_range&) {
    throw InputError(name + ": damaged: the HDF5 library made no array of it: write the file again");
  }
  return arrays;
}

}  // namespace outerloop::data
