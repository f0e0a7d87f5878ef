#include "common/store/hdf5_rows.h"

#include <algorithm>

#include "common/store/hdf5_handle.h"

namespace outerloop::store {
namespace {

constexpr hsize_t kChunkNumbers = 1 << 16;

Handle create_file(const std::string& path) {
  silence_hdf5();
  return {H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, "make " + path};
}

Handle create_dataset(hid_t file, const std::string& name, hsize_t columns) {
  const hsize_t none[] = {0, columns}, most[] = {H5S_UNLIMITED, columns};
  const hsize_t chunk[] = {std::max<hsize_t>(1, kChunkNumbers / columns), columns};
  const Handle space(H5Screate_simple(2, none, most), H5Sclose, "make a shape");
  const Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "make a property list");
  check_hdf5(H5Pset_chunk(creation, 2, chunk), "set chunks");
  return {H5Dcreate2(file, name.c_str(), H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT), H5Dclose,
          "make " + name};
}

}  // namespace

struct Hdf5RowWriter::File {
  Handle file, dataset;
  hsize_t rows = 0, columns = 0;
};

Hdf5RowWriter::Hdf5RowWriter(const std::string& path, const std::string& dataset, std::int64_t columns) {
  auto file = create_file(path);
  auto made = create_dataset(file, dataset, static_cast<hsize_t>(columns));
  file_.reset(new File{std::move(file), std::move(made), 0, static_cast<hsize_t>(columns)});
}

Hdf5RowWriter::~Hdf5RowWriter() = default;

void Hdf5RowWriter::add(const float* values, std::int64_t rows) {
  if (rows == 0) return;
  const hsize_t begin[] = {file_->rows, 0}, count[] = {static_cast<hsize_t>(rows), file_->columns};
  const hsize_t all[] = {file_->rows + count[0], file_->columns};
  check_hdf5(H5Dset_extent(file_->dataset, all), "extend the dataset");
  const Handle space(H5Dget_space(file_->dataset), H5Sclose, "find the shape");
  const Handle memory(H5Screate_simple(2, count, nullptr), H5Sclose, "make a shape");
  check_hdf5(H5Sselect_hyperslab(space, H5S_SELECT_SET, begin, nullptr, count, nullptr), "select rows");
  check_hdf5(H5Dwrite(file_->dataset, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, values), "write rows");
  file_->rows = all[0];
}

void Hdf5RowWriter::close() {
  check_hdf5(H5Fflush(file_->file, H5F_SCOPE_GLOBAL), "flush");
  file_.reset();
}

}  // namespace outerloop::store
