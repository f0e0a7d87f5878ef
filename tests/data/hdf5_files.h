#pragma once
// Writers of small HDF5 files, and what is read from them.
#include <hdf5.h>

#include <memory>
#include <string>
#include <vector>

#include "common/data/dataset.h"
#include "tests/catch.h"
#include "tests/data/files.h"

namespace outerloop::tests {

/// Creates a file; closing the file closes all of its identifiers.
inline hid_t make_file(const std::string& path) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  H5Pclose(access);
  REQUIRE(file >= 0);
  return file;
}

/// 20 rows of 3 bytes, 0 to 59, with the layout of `creation`.
inline hid_t make_rows(hid_t file, const char* name, hid_t creation = H5P_DEFAULT) {
  const hsize_t shape[] = {20, 3};
  const hid_t space = H5Screate_simple(2, shape, nullptr);
  const hid_t set = H5Dcreate2(file, name, H5T_STD_U8LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  H5Sclose(space);
  REQUIRE(set >= 0);
  return set;
}

inline void write_rows(hid_t set) {
  const Bytes bytes = counting(60);
  REQUIRE(H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()) >= 0);
}

inline void write_rows_file(const std::string& path) {
  const hid_t file = make_file(path);
  write_rows(make_rows(file, "/rows"));
  H5Fclose(file);
}

/// A virtual dataset /v, mapped entirely to /rows of `source`.
inline void write_virtual(const std::string& path, const std::string& source, const char* of = "/rows") {
  const hid_t file = make_file(path);
  const hsize_t shape[] = {20, 3};
  const hid_t space = H5Screate_simple(2, shape, nullptr);
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  REQUIRE(H5Pset_virtual(creation, space, source.c_str(), of, space) >= 0);
  make_rows(file, "/v", creation);
  H5Pclose(creation);
  H5Sclose(space);
  H5Fclose(file);
}

inline std::shared_ptr<const data::Dataset> open_hdf5(const std::string& path,
                                                      std::vector<std::string>* remarks = nullptr) {
  return data::open_dataset({"hdf5", path, 4, {}, {}, 0, data::ScalingKind::none}, "", remarks);
}

inline std::string hdf5_refusal(const std::string& path) {
  return refusal([&] { open_hdf5(path); });
}

}  // namespace outerloop::tests
