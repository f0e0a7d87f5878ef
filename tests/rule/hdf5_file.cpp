#include "tests/rule/hdf5_file.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace outerloop::tests {
namespace {

/// Closes an HDF5 identifier.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle(hid_t id, Close close, const std::string& what) : id_(id), close_(close) {
    if (id < 0) throw std::runtime_error("HDF5: cannot open " + what);
  }
  ~Handle() { close_(id_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  hid_t id() const { return id_; }

 private:
  hid_t id_;
  Close close_;
};

std::vector<std::int64_t> extents(hid_t space) {
  std::vector<hsize_t> sizes(static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space))));
  H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  return {sizes.begin(), sizes.end()};
}

std::size_t product(const std::vector<std::int64_t>& shape) {
  std::size_t n = 1;
  for (const auto extent : shape) n *= static_cast<std::size_t>(extent);
  return n;
}

std::vector<double> read_attribute(hid_t object, const std::string& name, const std::string& what) {
  const Handle attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose, what + ", attribute " + name);
  const Handle space(H5Aget_space(attribute.id()), H5Sclose, what);
  std::vector<double> values(product(extents(space.id())));
  if (H5Aread(attribute.id(), H5T_NATIVE_DOUBLE, values.data()) < 0)
    throw std::runtime_error("HDF5: " + what + ": attribute " + name + " is no number");
  return values;
}

herr_t collect(hid_t, const char* name, const H5L_info_t* info, void* names) {
  if (info->type == H5L_TYPE_HARD) static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  return 0;
}

}  // namespace

Hdf5File::Hdf5File(const std::string& path)
    : path_(path), file_(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT)) {
  if (file_ < 0) throw std::runtime_error("HDF5: cannot open " + path);
}

Hdf5File::~Hdf5File() { H5Fclose(file_); }

std::vector<std::string> Hdf5File::datasets() const {
  std::vector<std::string> names, result;
  if (H5Lvisit(file_, H5_INDEX_NAME, H5_ITER_INC, collect, &names) < 0)
    throw std::runtime_error("HDF5: cannot list " + path_);
  for (const auto& name : names) {
    const Handle object(H5Oopen(file_, name.c_str(), H5P_DEFAULT), H5Oclose, path_ + ": " + name);
    if (H5Iget_type(object.id()) == H5I_DATASET) result.push_back(name);
  }
  std::sort(result.begin(), result.end());
  return result;
}

bool Hdf5File::contains(const std::string& path) const {
  // Every group of the path must exist before the last link may be queried.
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (H5Lexists(file_, path.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
  return H5Lexists(file_, path.c_str(), H5P_DEFAULT) > 0;
}

Hdf5Dataset Hdf5File::read(const std::string& path) const {
  const std::string what = path_ + ": " + path;
  const Handle dataset(H5Dopen2(file_, path.c_str(), H5P_DEFAULT), H5Dclose, what);
  const Handle space(H5Dget_space(dataset.id()), H5Sclose, what);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, what);
  Hdf5Dataset result;
  result.shape = extents(space.id());
  result.values.resize(product(result.shape));
  result.stored_in_float32 = H5Tget_class(type.id()) == H5T_FLOAT && H5Tget_size(type.id()) == 4;
  if (H5Dread(dataset.id(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, result.values.data()) < 0)
    throw std::runtime_error("HDF5: cannot read " + what);
  if (H5Aexists(dataset.id(), "example_stride") > 0)
    result.example_stride =
        static_cast<std::int64_t>(read_attribute(dataset.id(), "example_stride", what).at(0));
  return result;
}

std::vector<double> Hdf5File::attribute(const std::string& group, const std::string& name) const {
  const Handle object(H5Oopen(file_, group.c_str(), H5P_DEFAULT), H5Oclose, path_ + ": " + group);
  return read_attribute(object.id(), name, path_ + ": " + group);
}

bool Hdf5File::has_attribute(const std::string& group, const std::string& name) const {
  const Handle object(H5Oopen(file_, group.c_str(), H5P_DEFAULT), H5Oclose, path_ + ": " + group);
  return H5Aexists(object.id(), name.c_str()) > 0;
}

}  // namespace outerloop::tests
